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
import { within } from "../support/eventually.ts";
import { memoryLog } from "../support/memory-log.ts";
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
            body: payload.toString("latin1", methodBytes),
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
    return this.send(method, Buffer.from(JSON.stringify(argument)), codec);
  }

  send(method: string, body: Buffer, codec: number): Promise<Answer> {
    const name = Buffer.from(method);
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
  const memory = memoryLog();
  const { lines } = memory;

  before(async function () {
    needsPhp(this);
    pool = new Pool(poolOptions({ name: "http" }), {
      clock: systemClock,
      log: silentLog,
      events: new EventLog(100),
      baseEnv: process.env,
    });
    await pool.start();
    const { log } = memory;
    const methods = rpcMethods(new Dispatcher([pool]), () => '{"version":"3"}', log);
    server = await RpcServer.open(PORT_FROM_SYSTEM, { mode: 0o600 }, methods, log);
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

  const workersListed = async (): Promise<number> =>
    (JSON.parse((await client.call("informer.Workers", "http")).body) as { workers: unknown[] }).workers.length;

  it("adds and removes workers, and answers false for success; the list is short when the answer comes", async () => {
    expect((await client.call("informer.AddWorker", "http")).body).to.equal("false");
    expect(await workersListed()).to.equal(2);
    expect((await client.call("informer.RemoveWorker", "http")).body).to.equal("false");
    expect(await workersListed()).to.equal(1);
    expect(pool.workersWanted).to.equal(1);
  });

  it("leaves the last worker, and warns instead of failing", async () => {
    const { flags, body } = await client.call("informer.RemoveWorker", "http");
    expect([flags, body]).to.deep.equal([FLAG.JSON, "false"]);
    expect(await workersListed()).to.equal(1);
    expect(
      lines.some(({ level, message }) => level === "warn" && message.includes("last one is not removed")),
    ).to.equal(true);
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

  for (const [method, codec, text] of [
    ["kv.Set", FLAG.PROTO, "rpc: can't find service kv.Set"],
    ["kv.Clear", FLAG.MSGPACK, "rpc: can't find service kv.Clear"],
    ["informer.Nope", FLAG.GOB, "rpc: can't find method informer.Nope"],
    ["nodot", FLAG.PROTO, "rpc: service/method request ill-formed: nodot"],
  ] as const)
    it(`says that ${method} is not there whatever the codec (${codec})`, async () => {
      const answer = await client.call(method, true, codec);
      expect([answer.flags, answer.body]).to.deep.equal([codec | FLAG.ERROR, text]);
    });

  it("tells the health of a pool in protobuf, too", async () => {
    const request = Buffer.concat([Buffer.of(0x0a, 4), Buffer.from("http")]);
    for (const method of ["status.Status", "status.Ready"]) {
      const { flags, body } = await client.send(method, request, FLAG.PROTO);
      expect([flags, Buffer.from(body, "latin1").toString("hex")]).to.deep.equal([FLAG.PROTO, "08c801"]);
    }
    expect((await client.send("status.Status", Buffer.of(0x0a, 1, 0x78), FLAG.PROTO)).body).to.equal(
      "no such plugin: x",
    );
  });

  for (const argument of ["http", null, {}, 7])
    it(`names what status.Status takes when it is given ${JSON.stringify(argument)}`, async () => {
      const { flags, body } = await client.call("status.Status", argument);
      expect([flags, body]).to.deep.equal([
        FLAG.JSON | FLAG.ERROR,
        `status.Status takes {"plugin": "name"}, it was given ${JSON.stringify(argument)}`,
      ]);
    });

  it("refuses a codec that it does not know, and goes on", async () => {
    const refused = await client.call("rpc.Version", true, FLAG.PROTO);
    expect(refused.flags).to.equal(FLAG.PROTO | FLAG.ERROR);
    expect(refused.body).to.equal("rpc: rpc.Version takes JSON, it came with protobuf");
    expect((await client.call("rpc.Version", true)).flags).to.equal(FLAG.JSON);
  });

  /** What the log says of a connection that wrote this, once it was closed. */
  async function closedBecause(bytes: Buffer): Promise<string> {
    const stranger = connect(server.port, "127.0.0.1");
    const closed = new Promise((resolve) => stranger.once("close", resolve));
    const before = lines.length;
    stranger.on("error", () => {});
    stranger.resume().write(bytes);
    await within(5_000, "the connection was closed", closed);
    return lines
      .slice(before)
      .map(({ message }) => message)
      .join("\n");
  }

  it("closes a connection that speaks something else", async () => {
    const why = await closedBecause(Buffer.from("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    expect(why).to.contain('it sent "GET / HTTP/1.1');
  });

  it("closes one of RoadRunner 1's client, which would wait for ever, and says why", async () => {
    const packet = (flags: number, data: Buffer) => {
      const prefix = Buffer.alloc(17);
      prefix[0] = flags;
      prefix.writeBigUInt64LE(BigInt(data.length), 1);
      prefix.writeBigUInt64BE(BigInt(data.length), 9);
      return Buffer.concat([prefix, data]);
    };
    const header = packet(0x14, Buffer.concat([Buffer.from("http.Reset"), Buffer.alloc(8)]));
    const why = await closedBecause(Buffer.concat([header, packet(0, Buffer.from("true"))]));
    expect(why).to.contain("RoadRunner 1");
  });

  for (const [what, bytes, why] of [
    ["too few options", encodeFrame(FLAG.JSON, 0, [], Buffer.from("rpc.Version")), "does not speak goridge"],
    ["an endless name", encodeFrame(FLAG.JSON, 0, [1, 5000], Buffer.alloc(5000, "x")), "a method of 5000 bytes"],
    ["a wrong checksum", Buffer.from("1508ffffff0000000000000000000000000000000000", "hex"), "wrong checksum"],
    ["too large a request", encodeFrame(FLAG.JSON, 0, [1, 5], Buffer.alloc(17 << 20)).subarray(0, 100), "16777216"],
  ] as const)
    it(`closes one that sends ${what}`, async () => {
      expect(await closedBecause(bytes)).to.contain(why);
    });
});
