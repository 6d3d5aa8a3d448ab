import { expect } from "chai";
import { timeLocal } from "../../../src/http/access-log.ts";
import { requestIdFor } from "../../../src/http/request-id.ts";
import { closeFrontends, send, testFrontend } from "./support.ts";

describe("access log", () => {
  afterEach(closeFrontends);

  it("has RoadRunner's fields", async () => {
    const { dispatch, port, lines } = await testFrontend({ accessLogs: true });
    dispatch.answerer = (call) => call.answer(201, {}, "12345");
    await send(port, {
      method: "POST",
      path: "/a?b=c",
      body: "abc",
      headers: { host: "example.com", "user-agent": "test", referer: "http://r/", "x-request-id": "id-1" },
    });
    const { level, fields } = lines.find(({ message }) => message === "http access log")!;
    expect(level).to.equal("info");
    expect(fields).to.include({
      status: 201,
      method: "POST",
      URI: "/a?b=c",
      URL: "/a",
      remote_address: "127.0.0.1",
      read_bytes: 3,
      write_bytes: 5,
      query: "b=c",
      content_len: 3,
      host: "example.com",
      user_agent: "test",
      referer: "http://r/",
      request_id: "id-1",
    });
    expect(fields.time_local).to.match(/^\d\d\/[A-Z][a-z]{2}\/\d\d:\d\d:\d\d:\d\d [+-]\d{4}$/);
    expect(fields.start).to.match(/^\d{4}-\d\d-\d\dT/);
    expect(fields.elapsed).to.be.a("number").and.to.equal(fields.request_time);
  });

  it("is a line for debugging when not asked for", async () => {
    const { dispatch, port, lines } = await testFrontend();
    dispatch.answerer = (call) => call.answer(200, {});
    await send(port);
    const line = lines.find(({ message }) => message === "http log");
    expect(line!.level).to.equal("debug");
    expect(line!.fields).to.have.keys(
      "status",
      "method",
      "URI",
      "URL",
      "remote_address",
      "read_bytes",
      "write_bytes",
      "start",
      "elapsed",
      "request_id",
    );
  });

  it("writes the local time as RoadRunner does", () => {
    const date = new Date(2026, 0, 2, 3, 4, 5);
    expect(timeLocal(date)).to.match(/^02\/Jan\/26:03:04:05 [+-]\d{4}$/);
  });

  it("takes sane request ids only", () => {
    expect(requestIdFor("a-Z_0.9:/+=@")).to.equal("a-Z_0.9:/+=@");
    for (const id of ["", "a b", "a\nb", "ü", "x".repeat(129), ["a", "b"], undefined])
      expect(requestIdFor(id)).to.match(/^[\w-]{9,}$/);
  });
});
