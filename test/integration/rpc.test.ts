import { connect, type Socket } from "node:net";
import { expect } from "chai";
import { Deadline } from "../../src/async/deadline.ts";
import { systemClock } from "../../src/clock.ts";
import { Dispatcher } from "../../src/dispatch/dispatcher.ts";
import { EventLog } from "../../src/events/event-log.ts";
import { encodeFrame, FLAG } from "../../src/goridge/frame.ts";
import { FrameReader } from "../../src/goridge/frame-reader.ts";
import { silentLog } from "../../src/log.ts";
import { Pool } from "../../src/pool/pool.ts";
import { rpcMethods } from "../../src/rpc/methods.ts";
import { RpcServer } from "../../src/rpc/rpc-server.ts";
import { needsPhp } from "../support/php.ts";
import { poolOptions } from "../support/pool-options.ts";

const PORT_FROM_SYSTEM = { kind: "tcp", host: "127.0.0.1", port: 0 } as const;

interface Answer {
  flags: number;
  sequence: number;
  method: string;
  body: string;
}

/** Speaks what the RPC clients of RoadRunner's PHP packages speak: one request, then its reply. */
class RpcClient {
  readonly #socket: Socket;
  readonly #waiting: ((answer: Answer) => void)[] = [];
  #sequence = 0;

  constructor(port: number) {
    this.#socket = connect(port, "127.0.0.1");
    const reader = new FrameReader(
      {
        frame: ({ flags }, [sequence = 0, methodBytes = 0], payload) =>
          this.#waiting.shift()!({
            flags,
            sequence,
            method: payload.toString("utf8", 0, methodBytes),
            body: payload.toString("utf8", methodBytes),
          }),
        frameContinues: () => {},
        stray: (bytes) => expect.fail(`stray ${bytes}`),
        violation: (bytes) => expect.fail(`violation ${bytes}`),
      },
      1024 * 1024,
    );
    this.#socket.on("data", (chunk) => reader.push(chunk));
  }

  call(method: string, argument: unknown, codec: number = FLAG.JSON): Promise<Answer> {
    const name = Buffer.from(method);
    const body = Buffer.from(JSON.stringify(argument));
    this.#socket.write(encodeFrame(codec, 0, [++this.#sequence, name.length], name, body));
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  close(): void {
    this.#socket.destroy();
  }
}

describe("goridge RPC for PHP", () => {
  let pool: Pool;
  let server: RpcServer;
  let client: RpcClient;

  before(async function () {
    needsPhp(this);
    pool = new Pool(poolOptions({ name: "http" }), {
      clock: systemClock,
      log: silentLog,
      events: new EventLog(100),
      baseEnv: process.env,
    });
    await pool.start();
    const methods = rpcMethods(new Dispatcher([pool]), () => '{"version":"3"}');
    server = await RpcServer.open(PORT_FROM_SYSTEM, { mode: 0o600 }, methods, silentLog);
    client = new RpcClient(server.port);
  });

  after(async () => {
    client?.close();
    server?.close();
    await pool?.stop(Deadline.after(5_000));
  });

  it("echoes sequence, method and codec", async () => {
    const answer = await client.call("rpc.Version", true);
    expect(answer).to.include({ flags: FLAG.JSON, sequence: 1, method: "rpc.Version" });
    expect(JSON.parse(answer.body)).to.match(/^\d+\.\d+\.\d+$/);
  });

  it("lists workers as the informer of RoadRunner does", async () => {
    const { body } = await client.call("informer.Workers", "http");
    const [worker] = (JSON.parse(body) as { workers: Record<string, unknown>[] }).workers;
    expect(worker).to.include({ pid: pool.workers[0]!.pid, status: 1, statusStr: "ready", numExecs: 0 });
    expect(JSON.parse((await client.call("informer.Workers", "nope")).body)).to.deep.equal({ workers: null });
  });

  it("adds and removes workers, and answers false for success", async () => {
    expect((await client.call("informer.AddWorker", "http")).body).to.equal("false");
    expect(pool.workers).to.have.length(2);
    expect((await client.call("informer.RemoveWorker", "http")).body).to.equal("false");
    expect(pool.workersWanted).to.equal(1);
  });

  it("resets a pool", async () => {
    const before = pool.generation;
    expect((await client.call("resetter.Reset", "http")).body).to.equal("true");
    expect(pool.generation).to.equal(before + 1);
  });

  it("gives the configuration as base64 of its JSON", async () => {
    const { body } = await client.call("rpc.Config", true);
    expect(Buffer.from(JSON.parse(body), "base64").toString()).to.equal('{"version":"3"}');
  });

  for (const [method, text] of [
    ["kv.Set", "rpc: can't find service kv.Set"],
    ["informer.Nope", "rpc: can't find method informer.Nope"],
    ["nodot", "rpc: service/method request ill-formed: nodot"],
    ["informer.constructor", "rpc: can't find method informer.constructor"],
  ] as const)
    it(`refuses ${method} with the text that PHP clients look for`, async () => {
      const answer = await client.call(method, true);
      expect(answer.flags).to.equal(FLAG.JSON | FLAG.ERROR);
      expect(answer.body).to.equal(text);
    });

  it("refuses a codec that it does not know, and goes on", async () => {
    expect((await client.call("rpc.Version", true, FLAG.PROTO)).flags).to.equal(FLAG.PROTO | FLAG.ERROR);
    expect((await client.call("rpc.Version", true)).flags).to.equal(FLAG.JSON);
  });

  it("closes a connection that speaks something else", async () => {
    const stranger = connect(server.port, "127.0.0.1");
    const closed = new Promise((resolve) => stranger.once("close", resolve));
    stranger.resume().write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    await closed;
  });
});
