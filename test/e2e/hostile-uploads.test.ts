import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { expect } from "chai";
import { ProcessRole } from "../../gen/roadrunner/server/v1/server_service_pb.ts";
import { eventually, within } from "../support/eventually.ts";
import { send } from "../support/http-load.ts";
import { BOUNDARY, MULTIPART, multipart } from "../support/multipart.ts";
import { needsPhp } from "../support/php.ts";
import { RawConnection } from "../support/raw-connection.ts";
import { ServerProcess, stopServers } from "../support/server-process.ts";

const MEGABYTE = 1024 * 1024;
const MEMORY_GROWTH_MAX = 128 * MEGABYTE;
const BODY_IDLE_MS = 700;
const END = `--${BOUNDARY}--\r\n`;

/** The same part many times. */
function many(count: number, head: string, content = "x"): Buffer {
  return Buffer.from(`--${BOUNDARY}\r\n${head}\r\n\r\n${content}\r\n`.repeat(count) + END);
}
const field = (name: string) => `Content-Disposition: form-data; name="${name}"`;
const file = (name: string) => `${field(name)}; filename="a.txt"`;

interface Hostile {
  body: () => Buffer;
  status: number;
  headers?: Record<string, string>;
}

/** With the default limits: what a form cannot do, however it is made. */
const FORMS: Record<string, Hostile> = {
  "100,000 fields": { body: () => many(100_000, field("a")), status: 413 },
  "100,000 files of a byte": { body: () => many(100_000, file("a[]")), status: 413 },
  "100,000 inputs without a file": { body: () => many(100_000, `${field("a[]")}; filename=""`, ""), status: 413 },
  "100,000 parts without a name": { body: () => many(100_000, "Content-Disposition: form-data"), status: 413 },
  "100,000 parts that are no form data": { body: () => many(100_000, "X-A: b"), status: 400 },
  "100,000 empty parts": { body: () => Buffer.from(`--${BOUNDARY}\r\n\r\n\r\n`.repeat(100_000) + END), status: 400 },
  "a field of 128 levels": { body: () => many(1, field(`a${"[b]".repeat(127)}`)), status: 400 },
  "a file of 128 levels": { body: () => many(1, file(`a${"[b]".repeat(127)}`)), status: 400 },
  "a field of 5,000 levels": { body: () => many(1, field(`a${"[]".repeat(5_000)}`)), status: 400 },
  "a field whose name has 9 KB": { body: () => many(1, field("a+".repeat(4_500))), status: 400 },
  "a field of 11 MB": { body: () => many(1, field("a"), "x".repeat(11 * MEGABYTE)), status: 413 },
  "fields of 40 MB together": { body: () => many(5, field("a"), "x".repeat(8 * MEGABYTE)), status: 413 },
  "20 MB before the first part": {
    body: () => Buffer.concat([Buffer.alloc(20 * MEGABYTE, "x"), many(1, field("a"))]),
    status: 400,
  },
  "20 MB of almost boundaries": {
    body: () => Buffer.from(`\r\n--${BOUNDARY.slice(0, -1)}`.repeat(1_250_000) + END),
    status: 400,
  },
  "20 MB of line breaks and dashes": { body: () => Buffer.from("\r\n--".repeat(5_000_000)), status: 400 },
  "a part whose head has 20 MB": {
    body: () => many(1, `${field("a")}\r\nX-Large: ${"x".repeat(20 * MEGABYTE)}`),
    status: 400,
  },
  "a part whose head does not end": {
    body: () => Buffer.from(`--${BOUNDARY}\r\n${"X-A: b\r\n".repeat(2_500_000)}`),
    status: 400,
  },
  "a form in a form that is zipped, 200 MB of it": {
    body: () => gzipSync(many(1, file("a"), "\0".repeat(200 * MEGABYTE))),
    headers: { "content-encoding": "gzip" },
    status: 400,
  },
  "a boundary of 60 KB": {
    body: () => many(1, field("a")),
    headers: { "content-type": `multipart/form-data; boundary=${"b".repeat(60_000)}` },
    status: 400,
  },
  "no boundary": { body: () => many(1, field("a")), headers: { "content-type": "multipart/form-data" }, status: 400 },
  "no end": { body: () => many(1, file("a"), "x".repeat(MEGABYTE)).subarray(0, -10), status: 400 },
  "nothing at all": { body: () => Buffer.from("-"), status: 400 },
};

/** Forms that no browser sends, to real PHP with the limits that everybody has. */
describe("Hostile forms", function () {
  this.timeout(60_000);
  let server: ServerProcess;
  let spool: string;
  let pids: number[];
  let programs: number[];

  before(async function () {
    needsPhp(this);
    spool = mkdtempSync(join(tmpdir(), "rr-test-spool-"));
    server = await ServerProcess.start({
      script: "mirror.php",
      http: { uploads: { dir: spool }, body_idle_timeout: `${BODY_IDLE_MS}ms` },
      pool: { num_workers: 2 },
    });
    pids = await server.pids();
    const { processes } = await server.client.server.getServerInfo({});
    const frontends = processes.filter(({ role }) => role === ProcessRole.HTTP_FRONTEND).map(({ pid }) => pid);
    programs = [server.pid, ...frontends];
  });
  after(async () => {
    await stopServers();
    if (spool) rmSync(spool, { recursive: true });
  });

  const post = (body: Buffer, headers = {}) =>
    send(`${server.httpUrl}/`, { method: "POST", headers: { "content-type": MULTIPART, ...headers }, body });
  const spooled = () =>
    (readdirSync(spool, { recursive: true }) as string[]).filter((name) => /\/upload\w+$/.test(name));
  const nothingKept = () => eventually("nothing was kept of it", () => spooled().length === 0);
  const memoryBytes = () => programs.map(residentBytes);

  for (const [what, { body, status, headers }] of Object.entries(FORMS))
    it(`${what}: ${status}`, async () => {
      const before = memoryBytes();
      const { executions } = await server.pool();
      const response = await post(body(), headers);
      expect(response.status, response.body.slice(0, 500)).to.equal(status);
      expect((await server.pool()).executions, "no worker saw it").to.equal(executions);
      await nothingKept();
      const grown = memoryBytes().map((bytes, at) => bytes - before[at]!);
      expect(Math.max(...grown), "bytes that the server grew by").to.be.below(MEMORY_GROWTH_MAX);
      expect((await post(multipart({ name: "a", content: "on" }))).status, "it goes on").to.equal(200);
    });

  it("as many small parts as are allowed arrive", async () => {
    const fields = Array.from({ length: 10_000 }, (_, at) => ({ name: `n${at}`, content: String(at) }));
    const files = Array.from({ length: 1_000 }, () => ({ name: "f[]", fileName: "f.txt", content: "x" }));
    const response = await post(multipart(...fields, ...files));
    expect(response.status, response.body.slice(0, 500)).to.equal(200);
    const { form, uploads } = JSON.parse(response.body);
    expect(Object.keys(form)).to.have.length(10_000);
    expect(form).to.include({ n0: "0", n9999: "9999" });
    expect(uploads.f).to.have.length(1_000);
    expect(uploads.f.every((one: { error: number; size: number }) => one.error === 0 && one.size === 1)).to.equal(true);
    await nothingKept();
  });

  it("a multipart body inside of a part is a text like others", async () => {
    const inner = multipart({ name: "x", content: "y" }).toString().replaceAll(BOUNDARY, "inner");
    const { status, body } = await post(
      multipart({ name: "a", type: "multipart/mixed; boundary=inner", content: inner }),
    );
    expect(status).to.equal(200);
    expect(JSON.parse(body).form).to.deep.equal({ a: inner });
  });

  /** A form whose file has begun. */
  function begun(): RawConnection {
    const start = `--${BOUNDARY}\r\n${file("f")}\r\n\r\n${"x".repeat(100_000)}`;
    const head = `POST / HTTP/1.1\r\nHost: x\r\nContent-Type: ${MULTIPART}\r\nContent-Length: 1000000\r\n\r\n`;
    return new RawConnection(server.httpPort).write(head + start);
  }

  it("an upload that stands still is 408, and its file is removed", async () => {
    const client = begun();
    await eventually("the file was there", () => spooled().length === 1);
    expect(await within(10_000, "the server closed", client.all())).to.match(/^HTTP\/1.1 408 /);
    await nothingKept();
  });

  it("slow uploads whose clients leave hold nothing", async () => {
    const clients = Array.from({ length: 20 }, begun);
    await eventually("the files were there", () => spooled().length === 20);
    expect((await server.pool()).workersWorking, "no worker waits for them").to.equal(0);
    // Each sends a little more, and half of them only say that they will send no more.
    for (const [at, client] of clients.entries()) {
      client.write("x".repeat(100));
      if (at % 2 === 0) client.socket.destroy();
      else client.socket.end();
    }
    await nothingKept();
    for (const { socket } of clients) socket.destroy();
  });

  it("have harmed no worker and no frontend", async () => {
    expect(await server.pids()).to.have.members(pids);
    expect(server.log.filter(({ level, event }) => level === "error" || event === "frontend.exited")).to.deep.equal([]);
  });
});

/** What of a process is in memory; 0 where the system does not say. */
function residentBytes(pid: number): number {
  try {
    return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}
