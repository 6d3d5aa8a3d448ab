import { expect } from "chai";
import { type BodyPlan, EMPTY_TREE, fieldsBody, planBody } from "../../../src/http/request-body.ts";
import { closeFrontends, RawConnection, send, testFrontend } from "./support.ts";

describe("request body", () => {
  afterEach(closeFrontends);

  const form = "application/x-www-form-urlencoded";
  const plans: [method: string, contentType: string | undefined, rawBody: boolean, plan: BodyPlan][] = [
    ["HEAD", form, false, "none"],
    ["OPTIONS", "text/plain", true, "none"],
    ["POST", form, false, "form"],
    ["PUT", `${form}; charset=utf-8`, false, "form"],
    ["PATCH", form.toUpperCase(), false, "form"],
    ["DELETE", form, false, "empty-form"],
    ["GET", form, false, "empty-form"],
    ["POST", form, true, "raw"],
    ["POST", "application/json", false, "raw"],
    ["POST", "multipart/form-data; boundary=x", false, "multipart"],
    ["POST", "Multipart/Form-Data;boundary=x", false, "multipart"],
    ["POST", "multipart/form-data; boundary=x", true, "raw"],
    ["POST", "multipart/mixed; boundary=x", false, "raw"],
    ["POST", undefined, false, "raw"],
    ["GET", undefined, false, "raw"],
  ];
  for (const [method, contentType, rawBody, plan] of plans)
    it(`of ${method} as ${contentType ?? "nothing"}${rawBody ? " with raw_body" : ""} is "${plan}"`, () => {
      expect(planBody(method, contentType, rawBody)).to.equal(plan);
    });

  it("of a form without fields is {} or nothing", () => {
    expect(fieldsBody(Buffer.from('{"a":"b"}'), "proto").toString()).to.equal('{"a":"b"}');
    expect(fieldsBody(EMPTY_TREE, "json").toString()).to.equal("{}");
    expect(fieldsBody(EMPTY_TREE, "proto")).to.have.length(0);
  });

  it("that nobody wants is not asked for, and the connection is not used again", async () => {
    const { dispatch, port } = await testFrontend();
    dispatch.answerer = (call) => call.answer(200, {}, "options");
    const connection = new RawConnection(port);
    connection.write("OPTIONS / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
    const text = await connection.all();
    expect(text)
      .to.match(/^HTTP\/1.1 200 OK\r\n/)
      .and.to.contain("Connection: close");
  });

  it("that nobody wants does not disturb the next request of its connection", async () => {
    const { dispatch, port } = await testFrontend();
    dispatch.answerer = (call) => call.answer(200, {}, call.context.method as string);
    const connection = new RawConnection(port);
    connection.write("OPTIONS / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\nHost: h\r\n\r\n");
    await connection.until("GET");
    connection.socket.destroy();
  });

  it("ends its own request alone when something throws on its way", async () => {
    const { dispatch, port } = await testFrontend();
    dispatch.answerer = (call) => {
      if (call.request.moreBody) throw new Error("a bug");
      call.answer(200, {}, "fine");
    };
    const { status } = await send(port, { method: "POST", body: Buffer.alloc(200_000) });
    expect(status).to.equal(500);
    expect((await send(port)).body).to.equal("fine");
  });

  it("that is too large is refused so that a client that sends all of it first reads why", async () => {
    const { dispatch, port } = await testFrontend({ maxRequestBytes: 1_000 });
    const { status, headers } = await send(port, { method: "POST", body: Buffer.alloc(5_000_000) });
    expect(status).to.equal(413);
    expect(headers.connection).to.equal("close");
    expect(dispatch.calls).to.have.length(0);
  });

  it("comes in pieces of any size", async () => {
    const { dispatch, port } = await testFrontend();
    const connection = new RawConnection(port);
    connection.write("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (const byte of "hello") connection.write(`1\r\n${byte}\r\n`);
    connection.write("0\r\n\r\n");
    const call = await dispatch.next();
    expect(call.body.toString()).to.equal("hello");
    expect(call.request.moreBody).to.equal(false);
    expect(call.context.headers).to.deep.equal({});
    call.answer(200, {}, "done");
    await connection.until("done");
    connection.socket.destroy();
  });
});
