import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { decodePairs, encodePairs, encodeRecord, RecordType } from "../../src/http/fastcgi/records.ts";
import { eventually, within } from "../support/eventually.ts";
import { FastCgiClient } from "../support/fastcgi-client.ts";
import { needsPhp } from "../support/php.ts";
import { ServerProcess, stopServers } from "../support/server-process.ts";

const LIMIT_MS = 8_000;
const MEBIBYTE = 1 << 20;
const COMPLETE = 0;

const params = (uri: string, more: Record<string, string> = {}) => ({
  ...{ REQUEST_METHOD: "GET", REQUEST_URI: uri, SERVER_PROTOCOL: "HTTP/1.1", REMOTE_ADDR: "192.0.2.7" },
  ...{ HTTP_HOST: "example.test", ...more },
});
const put = (length: number | undefined) =>
  params("/body", { REQUEST_METHOD: "PUT", CONTENT_LENGTH: length === undefined ? "" : String(length) });
const begin = (id: number, flags = 1) =>
  encodeRecord(RecordType.beginRequest, id, Buffer.of(0, 1, flags, 0, 0, 0, 0, 0));
const paramsRecord = (id: number, pairs: Record<string, string>) =>
  encodeRecord(RecordType.params, id, encodePairs(pairs));
const end = (type: number, id: number) => encodeRecord(type, id);

/** Records of web servers, good and bad, to a server that speaks nothing but FastCGI. */
describe("FastCGI by its records", function () {
  this.timeout(30_000);
  let directory: string;
  let server: ServerProcess;
  let socketPath: string;

  before(async function () {
    needsPhp(this);
    directory = mkdtempSync(join(tmpdir(), "rr-fcgi-"));
    socketPath = join(directory, "fcgi.sock");
    server = await start(socketPath);
  });

  after(async () => {
    await stopServers();
    if (directory) rmSync(directory, { recursive: true });
  });

  const start = (path: string, http = {}) =>
    ServerProcess.start({
      http: {
        address: undefined,
        fcgi: { address: `unix://${path}` },
        max_request_size: 8,
        header_timeout: "1s",
        ...http,
      },
      pool: { stream_timeout: "1s" },
    });
  const client = (path = socketPath) => new FastCgiClient({ path });
  const serves = async (one: FastCgiClient) => {
    expect((await one.request(9, params("/echo?on"))).body.toString()).to.equal("on");
    one.socket.destroy();
  };

  it("read no more of a web server that does not read what it is answered, and then go on", async () => {
    const one = client();
    one.socket.pause();
    const unknown = Buffer.concat(Array.from({ length: 8_192 }, () => encodeRecord(99, 0)));
    let written = 0;
    while (written < 64 * MEBIBYTE) {
      written += unknown.length;
      if (one.socket.write(unknown)) continue;
      const isGoingOn = await Promise.race([
        new Promise<boolean>((resolve) => one.socket.once("drain", () => resolve(true))),
        new Promise<boolean>((resolve) => setTimeout(resolve, 500, false)),
      ]);
      if (!isGoingOn) break;
    }
    expect(written, "bytes that it took").to.be.below(16 * MEBIBYTE);
    one.socket.resume();
    await within(LIMIT_MS, "all of it was answered", one.counted(written / 8));
    one.records.splice(0);
    await serves(one);
  });

  it("answer 400 to headers that could be taken for more than one, and to methods and targets that are none", async () => {
    const broken: Record<string, string>[] = [
      { HTTP_X_A: "a\r\nX-B: b" },
      { HTTP_X_A: "a\nb" },
      { HTTP_X_A: "a\0b" },
      { "HTTP_X A": "b" },
      { HTTP_HOST: "a b" },
      { HTTP_HOST: "a:99999" },
      { REQUEST_URI: "/a b" },
      { REQUEST_URI: "/a\r\n" },
    ];
    for (const more of broken) {
      const one = client();
      const { head } = await one.request(1, params("/echo?x", more));
      expect(head, JSON.stringify(more)).to.match(/^Status: 400 /);
      one.socket.destroy();
    }
  });

  it("listens nowhere else", () => {
    expect(server.address("http")).to.match(/^fastcgi:\/\//);
    expect(server.output.join("\n")).not.to.match(/^ {2}http +http:/m);
  });

  it("takes parameters in any number of records, cut anywhere", async () => {
    const one = client();
    const pairs = encodePairs(params("/echo?cut", { HTTP_X_LONG: "x".repeat(300) }));
    one.begin(1);
    for (let at = 0; at < pairs.length; at += 7)
      one.socket.write(encodeRecord(RecordType.params, 1, pairs.subarray(at, at + 7)));
    one.socket.write(end(RecordType.params, 1));
    one.stdin(1, Buffer.alloc(0));
    expect((await one.answer(1)).body.toString()).to.equal("cut");
    await serves(one);
  });

  it("takes records with padding, byte by byte", async () => {
    const one = client();
    const padded = (record: Buffer) => {
      const copy = Buffer.concat([record, Buffer.alloc(200, 0xff)]);
      copy[6] = copy[6]! + 200;
      return copy;
    };
    const pieces = [begin(1), paramsRecord(1, params("/echo?padded")), end(4, 1), end(5, 1)].map(padded);
    for (const byte of Buffer.concat(pieces)) one.socket.write(Buffer.of(byte));
    expect((await one.answer(1)).body.toString()).to.equal("padded");
    await serves(one);
  });

  it("takes large bodies, and those without a length", async () => {
    const one = client();
    const body = Buffer.alloc(5 * MEBIBYTE, "0123456789");
    const announced = await one.request(1, put(body.length), body);
    expect(announced.body.toString()).to.match(/^5242880 /);
    const other = await one.request(2, put(undefined), body);
    expect(other.body.toString()).to.equal(announced.body.toString());
    expect((await one.request(3, put(undefined))).body.toString()).to.match(/^0 /);
    expect((await one.request(4, put(0))).body.toString()).to.match(/^0 /);
    await serves(one);
  });

  it("refuses bodies that are too large, and goes on", async () => {
    const one = client();
    const body = Buffer.alloc(9 * MEBIBYTE);
    expect((await one.request(1, put(body.length), body)).head).to.match(/^Status: 413 /);
    expect((await one.request(2, put(undefined), body)).head).to.match(/^Status: 413 /);
    await serves(one);
  });

  it("keeps the connection if it is asked to, and closes it otherwise", async () => {
    const one = client();
    await one.request(1, params("/echo"));
    expect((await one.request(2, params("/echo"), undefined, false)).protocolStatus).to.equal(COMPLETE);
    await within(LIMIT_MS, "the connection closed", one.closed);
  });

  it("tells what it can, and which types it does not know", async () => {
    const one = client();
    const names = { FCGI_MAX_CONNS: "", FCGI_MPXS_CONNS: "", toString: "", constructor: "" };
    one.socket.write(encodeRecord(RecordType.getValues, 0, encodePairs(names)));
    one.socket.write(encodeRecord(99, 0, Buffer.from("what?")));
    await eventually("it answered", () => one.records.length === 2);
    const [values, unknown] = one.records;
    expect(values).to.include({ type: RecordType.getValuesResult, requestId: 0 });
    expect([...decodePairs(values!.content)]).to.deep.equal([["FCGI_MPXS_CONNS", "0"]]);
    expect(unknown).to.include({ type: RecordType.unknownType, requestId: 0 });
    expect(unknown!.content[0]).to.equal(99);
    one.records.splice(0);
    await serves(one);
  });

  it("ignores records of requests that there are not, and of types that requests do not have", async () => {
    const one = client();
    one.socket.write(Buffer.concat([end(RecordType.stdin, 7), end(RecordType.abortRequest, 7), begin(1)]));
    one.socket.write(Buffer.concat([encodeRecord(RecordType.data, 1, Buffer.from("filter")), encodeRecord(77, 1)]));
    one.params(1, params("/echo?one")).stdin(1, Buffer.alloc(0));
    expect((await one.answer(1)).body.toString()).to.equal("one");
    await serves(one);
  });

  describe("gives up a request", () => {
    it("that is aborted while PHP streams, and keeps the connection", async () => {
      const pids = await server.pids();
      const one = client();
      one.begin(1).params(1, params("/stream-forever")).stdin(1, Buffer.alloc(0));
      await eventually("it streamed", () => one.records.some(({ type }) => type === RecordType.stdout));
      one.socket.write(end(RecordType.abortRequest, 1));
      expect((await one.answer(1)).protocolStatus).to.equal(COMPLETE);
      await server.whole();
      expect(await server.pids()).to.have.members(pids);
      await serves(one);
    });

    it("that is aborted before its body is there", async () => {
      const one = client();
      one.begin(1).params(1, put(1_000_000));
      one.socket.write(encodeRecord(RecordType.stdin, 1, Buffer.alloc(100)));
      one.socket.write(end(RecordType.abortRequest, 1));
      expect((await one.answer(1)).protocolStatus).to.equal(COMPLETE);
      await serves(one);
      await server.whole();
    });

    it("that is aborted before its parameters are there", async () => {
      const one = client();
      one.begin(1);
      one.socket.write(Buffer.concat([end(RecordType.abortRequest, 1), begin(2)]));
      one.params(2, params("/echo?two")).stdin(2, Buffer.alloc(0));
      expect((await one.answer(2)).body.toString()).to.equal("two");
      await serves(one);
    });

    it("whose web server hangs up, while PHP streams and while it works", async () => {
      const pids = await server.pids();
      const one = client();
      one.begin(1).params(1, params("/stream-forever")).stdin(1, Buffer.alloc(0));
      await eventually("it streamed", () => one.records.some(({ type }) => type === RecordType.stdout));
      one.socket.destroy();
      const other = client();
      other.begin(1).params(1, params("/sleep?300")).stdin(1, Buffer.alloc(0));
      await eventually("it worked", async () => (await server.pool()).workersWorking > 0);
      other.socket.destroy();
      await server.whole();
      expect(await server.pids()).to.have.members(pids);
      expect((await server.client.stats.getStats({})).stats!.callsOpen).to.equal(0);
    });
  });

  describe("closes the connection", () => {
    const cases: [name: string, ...records: Buffer[]][] = [
      ["for another version", Buffer.from("0201000100080000".concat("00".repeat(8)), "hex")],
      ["for a begin that is too short", encodeRecord(RecordType.beginRequest, 1, Buffer.of(0, 1))],
      ["for a request that begins twice", begin(1), begin(1)],
      ["for a body before the parameters", begin(1), encodeRecord(RecordType.stdin, 1, Buffer.from("x"))],
      ["for parameters after their end", begin(1), paramsRecord(1, put(5)), end(4, 1), paramsRecord(1, { A: "b" })],
      [
        "for parameters whose lengths do not fit",
        begin(1),
        encodeRecord(4, 1, Buffer.from("7f7f41", "hex")),
        end(4, 1),
      ],
      ["for parameters without a method", begin(1), paramsRecord(1, { REQUEST_URI: "/" }), end(4, 1)],
      ["for a length that is none", begin(1), paramsRecord(1, params("/", { CONTENT_LENGTH: "5x" })), end(4, 1)],
      [
        "for a body above its length",
        begin(1),
        paramsRecord(1, put(3)),
        end(4, 1),
        encodeRecord(5, 1, Buffer.alloc(4)),
      ],
      [
        "for a body below it",
        begin(1),
        paramsRecord(1, put(3)),
        end(4, 1),
        encodeRecord(5, 1, Buffer.alloc(2)),
        end(5, 1),
      ],
      ["for parameters that do not come", begin(1)],
      ["for nothing at all"],
    ];
    for (const [name, ...records] of cases)
      it(name, async () => {
        const { executions } = await server.pool();
        const one = client();
        one.socket.write(Buffer.concat(records));
        await within(LIMIT_MS, "the connection closed", one.closed);
        expect((await server.pool()).executions).to.equal(executions);
        await serves(client());
      });
  });

  it("ends without a request lost: what runs is finished, kept connections are closed", async () => {
    const path = join(directory, "ending.sock");
    const one = await start(path);
    const [running, idle] = [client(path), client(path)];
    await idle.request(1, params("/echo"));
    const file = join(one.directory, "release");
    const answer = running.request(1, params(`/hold?${file}`));
    await eventually("the request ran", () => readdirSync(one.directory).some((name) => name.startsWith("release.")));
    one.signal("SIGTERM");
    await within(LIMIT_MS, "the idle connection was closed", idle.closed);
    const late = client(path);
    await within(LIMIT_MS, "nobody is let in any more", late.closed);
    writeFileSync(file, "");
    const { body, protocolStatus } = await within(LIMIT_MS, "the answer came", answer);
    expect([body.toString(), protocolStatus]).to.deep.equal(["released", COMPLETE]);
    await within(LIMIT_MS, "the connection was closed after it", running.closed);
    expect(await one.ended(LIMIT_MS)).to.deep.equal({ code: 0, signal: null });
    expect(existsSync(path), "the socket's file was removed").to.equal(false);
    await one.stop();
  });
});
