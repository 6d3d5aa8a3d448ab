import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { ProcessRole } from "../../gen/roadrunner/server/v1/server_service_pb.ts";
import { eventually } from "../support/eventually.ts";
import { send } from "../support/http-load.ts";
import { MULTIPART as FORM_DATA, multipart } from "../support/multipart.ts";
import { needsPhp, skip } from "../support/php.ts";
import { ServerProcess, stopServers } from "../support/server-process.ts";

const MEGABYTE = 1024 * 1024;
const URLENCODED = "application/x-www-form-urlencoded";
/** Above what the server holds anyway. Each kind of form sends 620 MB. */
const GROWTH_MAX = 128 * MEGABYTE;
const CLIENTS = 20;

/** Forms that are legal by themselves and too much together, to real PHP. */
describe("Large forms", function () {
  this.timeout(90_000);
  let server: ServerProcess;
  let spool: string;
  let frontend: number;
  const sockets = new Set<Socket>();

  before(async function () {
    needsPhp(this);
    if (process.platform !== "linux") return skip(this, "memory of processes is read from /proc");
    spool = mkdtempSync(join(tmpdir(), "rr-test-forms-"));
    server = await ServerProcess.start({ script: "mirror.php", http: { uploads: { dir: spool } } });
    const { processes } = await server.client.server.getServerInfo({});
    frontend = processes.find(({ role }) => role === ProcessRole.HTTP_FRONTEND)!.pid;
  });
  afterEach(() => {
    for (const socket of sockets) socket.destroy();
    sockets.clear();
  });
  after(async () => {
    await stopServers();
    if (spool !== undefined) rmSync(spool, { recursive: true, force: true });
  });

  /** Of the frontend; its peak can be set back. */
  const statusBytes = (key: string): number =>
    Number(new RegExp(`${key}:\\s+(\\d+)`).exec(readFileSync(`/proc/${frontend}/status`, "latin1"))![1]) * 1024;
  const resetPeak = (): number => {
    writeFileSync(`/proc/${frontend}/clear_refs`, "5");
    return statusBytes("VmRSS");
  };
  const post = (body: string | Buffer, type = URLENCODED) =>
    send(`${server.httpUrl}/`, { method: "POST", body, headers: { "content-type": type } });
  const smallForm = async () => JSON.parse((await post("a=1&b[]=2")).body).form;

  /** A client that sends 31 MB of a form of 34 MB, and then nothing more. */
  function unfinished(type: string, megabyte: Buffer): Promise<void> {
    const socket = connect(server.httpPort, "127.0.0.1");
    sockets.add(socket);
    return new Promise((resolve, reject) => {
      socket.on("error", reject);
      socket.write(
        `POST / HTTP/1.1\r\nHost: h\r\nContent-Length: ${32 * MEGABYTE - 10}\r\nContent-Type: ${type}\r\n\r\n`,
      );
      let sent = 0;
      const go = (): void => {
        while (sent < 31) {
          sent++;
          if (!socket.write(megabyte)) return void socket.once("drain", go);
        }
        resolve();
      };
      go();
    });
  }

  const value = "x".repeat(MEGABYTE - 200);
  for (const [what, type, megabyte] of [
    ["urlencoded forms of one value", URLENCODED, `a=${value}&`],
    ["urlencoded forms of many values", URLENCODED, "a[]=1&a[]=2&".repeat(1)],
    [
      "multipart forms",
      FORM_DATA,
      multipart({ name: "a[]", content: value })
        .toString()
        .replace(/--test-boundary--\r\n$/, ""),
    ],
  ] as const)
    it(`that are not finished take disk, not memory: ${what}`, async () => {
      await smallForm();
      const before = resetPeak();
      const data = Buffer.from(megabyte.length > 1000 ? megabyte : megabyte.padEnd(MEGABYTE, "a=1&"));
      const clients = Promise.all(Array.from({ length: CLIENTS }, () => unfinished(type, data)));
      // Meanwhile others are served.
      for (let count = 0; count < 10; count++) expect(await smallForm()).to.deep.equal({ a: "1", b: ["2"] });
      await clients;
      expect(await smallForm()).to.deep.equal({ a: "1", b: ["2"] });
      expect(statusBytes("VmHWM") - before, "bytes more than before").to.be.below(GROWTH_MAX);
    });

  it("that come at the same time arrive whole, one after the other", async () => {
    const before = resetPeak();
    const letters = "abcd".split("");
    const answers = await Promise.all(letters.map((letter) => post(`x[${letter}]=${letter.repeat(4 * MEGABYTE)}&y=1`)));
    for (const [at, { status, body }] of answers.entries()) {
      expect(status).to.equal(200);
      const { form } = JSON.parse(body);
      expect(form.x[letters[at]!] === letters[at]!.repeat(4 * MEGABYTE), "the value").to.equal(true);
      expect(form.y).to.equal("1");
    }
    expect(statusBytes("VmHWM") - before).to.be.below(2 * GROWTH_MAX);
  });

  for (const [what, form, status] of [
    ["names of blanks", `${"+".repeat(31 * MEGABYTE)}[=1`, 400],
    ["names of letters and blanks", `${"a+".repeat(15 * MEGABYTE)}[=1`, 400],
    ["one large value", `a=${"%41".repeat(10 * MEGABYTE)}`, 200],
    ["deep names", Array.from({ length: 2_000 }, (_, at) => `k${at}${"[a]".repeat(119)}=1`).join("&"), 200],
    ["values that are no UTF-8", `a=${"\xff".repeat(2 * MEGABYTE)}`, 200],
    ["more than any form may have", `a=${"x".repeat(33 * MEGABYTE)}`, 413],
  ] as const)
    it(`that are hostile hold nobody up: ${what}`, async () => {
      let longestMs = 0;
      let going = true;
      const others = (async () => {
        while (going) {
          const startedMs = performance.now();
          await smallForm();
          longestMs = Math.max(longestMs, performance.now() - startedMs);
        }
      })();
      const answer = await post(Buffer.from(form, "latin1"));
      going = false;
      await others;
      expect(answer.status, answer.body.slice(0, 200)).to.equal(status);
      if (status !== 200) expect(answer.body, "says why").to.match(/form/);
      // It was seconds; what is left to others' load is generous.
      expect(longestMs, "the longest wait of others").to.be.below(1_000);
    });

  it("leave nothing behind when their clients do", async () => {
    await Promise.all(Array.from({ length: 5 }, () => unfinished(URLENCODED, Buffer.from(`a=${value}&`))));
    expect(spoolFiles(frontend, spool), "files of forms").to.be.above(0);
    for (const socket of sockets) socket.destroy();
    await eventually("small forms were served", async () => (await smallForm()).a === "1");
    await eventually("their files were closed", () => spoolFiles(frontend, spool) === 0);
  });
});

/** Open files of a process below a folder. */
function spoolFiles(pid: number, folder: string): number {
  const links = readdirSync(`/proc/${pid}/fd`).flatMap((name) => {
    try {
      return [readlinkSync(`/proc/${pid}/fd/${name}`)];
    } catch {
      return [];
    }
  });
  return links.filter((link) => link.startsWith(folder)).length;
}
