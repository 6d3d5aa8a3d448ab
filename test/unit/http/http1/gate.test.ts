import type { IncomingMessage, ServerResponse } from "node:http";
import { expect } from "chai";
import { type Listener, openListener } from "../../../../src/http/listener.ts";
import { FrontendStatistics } from "../../../../src/http/statistics.ts";
import { eventually } from "../../../support/eventually.ts";
import { memoryLog, RawConnection } from "../support.ts";

interface Served {
  readonly incoming: IncomingMessage;
  readonly outgoing: ServerResponse;
  body: string;
}

const LIMITS = {
  maxHeaderBytes: 16 * 1024,
  maxConnections: 0,
  headerTimeoutMs: 60_000,
  requestTimeoutMs: 0,
  keepAliveTimeoutMs: 60_000,
};

describe("connections of HTTP/1", () => {
  let listener: Listener;
  let requests: Served[];
  /** Answers at once. */
  let answers: boolean;
  let statistics: FrontendStatistics;

  const open = async (limits: Partial<typeof LIMITS> = {}) => {
    requests = [];
    answers = true;
    statistics = new FrontendStatistics();
    listener = await openListener({
      target: { host: "127.0.0.1", port: 0 },
      addressKey: "test",
      limits: { ...LIMITS, ...limits },
      handle: (incoming, outgoing) => {
        const request: Served = { incoming, outgoing, body: "" };
        requests.push(request);
        incoming.setEncoding("latin1").on("data", (text: string) => {
          request.body += text;
        });
        if (answers) incoming.once("end", () => outgoing.end(`${requests.indexOf(request)};`));
      },
      statistics,
      log: memoryLog().log,
      state: { draining: false },
    });
  };
  const connect = () => new RawConnection(listener.address.port);
  const seen = () => requests.map(({ incoming, body }) => `${incoming.method} ${incoming.url} ${body}`);
  afterEach(() => listener.close(0));

  const GET = "GET /t HTTP/1.1\r\nHost: a\r\n\r\n";
  const MESSAGES: readonly [bytes: string, seen: string][] = [
    [GET, "GET /t "],
    ["POST /l HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nGET /", "POST /l GET /"],
    ["FOO /caf\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n", "FOO /caf%C3%A9 "],
    [
      "POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n2\r\nde\r\n0\r\nA: b\r\n\r\n",
      "POST /c abcde",
    ],
    ["\r\nGET /u HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n", "GET /u "],
    [
      "PUT /ub HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\nContent-Length: 29\r\n\r\nGET /no HTTP/1.1\r\nHost: a\r\n\r\n",
      "PUT /ub GET /no HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
    [
      "POST /uc HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nGET \r\n0\r\n\r\n",
      "POST /uc GET ",
    ],
    ["PATCH /\xff HTTP/1.1\r\nHost: a\r\n\r\n", "PATCH /%FF "],
    [GET, "GET /t "],
  ];

  for (const pieceBytes of [1, 2, 3, 7, 19, 64, 10_000])
    it(`read the same messages however they come: ${pieceBytes} bytes at a time`, async () => {
      await open();
      const connection = connect();
      connection.socket.setNoDelay(true);
      const bytes = MESSAGES.map(([text]) => text).join("");
      for (let at = 0; at < bytes.length; at += pieceBytes) {
        connection.write(bytes.slice(at, at + pieceBytes));
        await new Promise((resolve) => setImmediate(resolve));
      }
      await connection.until(`${MESSAGES.length - 1};`);
      expect(seen()).to.deep.equal(MESSAGES.map(([, text]) => text));
      expect(connection.text.match(/HTTP\/1.1 200/g)).to.have.length(MESSAGES.length);
      connection.socket.destroy();
    });

  it("are not read while requests wait for their turn, and all of them are answered in the end", async () => {
    await open();
    answers = false;
    const count = 20_000;
    const connection = connect().write(GET.repeat(count));
    await eventually("some requests came", () => requests.length > 1);
    // Each further answer lets in one more at most.
    for (let at = 0; at < 50; at++) {
      requests[at]!.outgoing.end(`${at};`);
      await connection.until(`${at};`);
      expect(requests.length - at).to.be.within(1, 20);
    }
    answers = true;
    for (const { outgoing } of requests.slice(50)) outgoing.end("late;");
    await connection.untilMatch(/;/g, count);
    expect(requests).to.have.length(count);
    connection.socket.destroy();
  }).timeout(60_000);

  it("are not read while waiting requests are long together", async () => {
    await open();
    answers = false;
    const long = GET.replace("\r\n\r\n", `\r\nX-Long: ${"x".repeat(15_000)}\r\n\r\n`);
    const connection = connect().write(long.repeat(1_000));
    await eventually("some requests came", () => requests.length > 1);
    await eventually("the client had to wait", () => connection.socket.writableLength > 0);
    expect(requests.length).to.be.at.most(7);
    connection.socket.destroy();
  });

  it("end in silence when nothing came, or only empty lines", async () => {
    await open({ headerTimeoutMs: 60, keepAliveTimeoutMs: 60 });
    expect(await connect().all()).to.equal("");
    expect(await connect().write("\r\n\r\n").all()).to.equal("");
  });

  for (const [what, bytes] of [
    ["CONNECT", "CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n\r\n"],
    ["CONNECT behind a request", `${GET}CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n\r\n${GET}`],
    ["an upgrade", GET.replace("\r\n\r\n", "\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")],
    ["no Host", "GET / HTTP/1.1\r\n\r\n"],
    ["nonsense", "nonsense\r\n\r\n"],
    ["nonsense behind a request", `${GET}nonsense\r\n\r\n`],
    ["RTSP", "GET / RTSP/1.0\r\n\r\n"],
    ["many requests", GET.repeat(1_000)],
    ["half a line", "GET /"],
    ["half a head", "GET / HTTP/1.1\r\nHost"],
    ["half a body", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nx"],
    ["half a chunk", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nx"],
  ] as const)
    for (const leaves of ["closes its side", "breaks off"] as const)
      it(`are gone when a client ${leaves} after ${what}`, async () => {
        await open();
        const { socket } = connect().write(bytes);
        // Connections are accepted in their order.
        const second = connect().write(GET);
        await second.until("200 OK");
        second.socket.destroy();
        if (leaves === "breaks off") socket.destroy();
        else socket.end();
        for (const { outgoing } of requests) outgoing.end("late");
        await eventually("the server has let go of it", () => statistics.openConnections === 0);
        socket.destroy();
      });

  it("end with 408 when a part of a request came", async () => {
    await open({ headerTimeoutMs: 60 });
    for (const part of ["G", "GET /", "GET / HTTP/1.1\r", "GET / HTTP/1.1\r\nHost"])
      expect(await connect().write(part).all(), part).to.match(/^HTTP\/1.1 408 /);
    const second = connect().write(`${GET}G`);
    expect(await second.all()).to.match(/^HTTP\/1.1 200 [\s\S]*HTTP\/1.1 408 /);
  });
});
