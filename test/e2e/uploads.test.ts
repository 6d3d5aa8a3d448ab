import { execFileSync, spawnSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { ProcessRole } from "../../gen/roadrunner/server/v1/server_service_pb.ts";
import { birthOf } from "../../src/process/birth.ts";
import { eventually } from "../support/eventually.ts";
import { send } from "../support/http-load.ts";
import { multipart as form, MULTIPART as TYPE } from "../support/multipart.ts";
import { needsPhp, skip } from "../support/php.ts";
import { ServerProcess, stopServers } from "../support/server-process.ts";

function md5(content: string | Buffer): string {
  return createHash("md5").update(content).digest("hex");
}

/** Files that come with requests, to real PHP workers, in the server as users run it. */
describe("Uploads", function () {
  this.timeout(60_000);
  let spool: string;
  let server: ServerProcess;

  const config = () => ({
    script: "uploads.php",
    http: {
      max_request_size: "64MB",
      uploads: { dir: spool, max_file_size: "16MB", max_files: 3, max_fields: 5, max_field_size: "1KB" },
    },
  });

  before(async function () {
    needsPhp(this, "posix");
    spool = mkdtempSync(join(tmpdir(), "rr-test-spool-"));
    server = await ServerProcess.start(config());
  });
  after(async () => {
    await stopServers();
    const left = spool === undefined ? [] : readdirSync(spool);
    if (spool !== undefined) rmSync(spool, { recursive: true, force: true });
    expect(left, "a server that ended has left nothing").to.deep.equal([]);
  });

  const post = async (body: Buffer, query = "", headers = {}) => {
    const response = await send(`${server.httpUrl}/${query}`, {
      method: "POST",
      headers: { "content-type": TYPE, ...headers },
      body,
    });
    return { ...response, json: response.status === 200 ? JSON.parse(response.body) : undefined };
  };
  const spooled = (): string[] => files(spool);
  const spoolEmpty = (why: string) => eventually(why, () => spooled().length === 0);

  it("reach the application as files, with what belongs to them", async () => {
    const content = randomBytes(300_000);
    const { json } = await post(
      form(
        { name: "title", content: "Zoë" },
        { name: "photo", fileName: "me.jpg", type: "image/jpeg", content },
        { name: "tags[]", content: "a" },
        { name: "tags[]", content: "b" },
      ),
    );
    expect(json.parsed).to.equal(true);
    expect(json.form).to.deep.equal({ title: "Zoë", tags: ["a", "b"] });
    const { tmpName, ...photo } = json.uploads.photo;
    expect(photo).to.deep.equal({ name: "me.jpg", mime: "image/jpeg", size: content.length, error: 0 });
    expect(tmpName.hash).to.equal(md5(content));
    expect(tmpName.path).to.satisfy((path: string) => path.startsWith(spool));
    await spoolEmpty("the file was removed after the response");
    expect(existsSync(tmpName.path)).to.equal(false);
  });

  it("keep the structure of their names", async () => {
    const { json } = await post(
      form(
        { name: "docs[list][]", fileName: "a.txt", type: "text/plain", content: "first" },
        { name: "docs[list][]", fileName: "b.txt", type: "text/plain", content: "second" },
        { name: "docs[one]", fileName: "c.txt", type: "text/plain", content: "" },
      ),
    );
    const { list, one } = json.uploads.docs;
    expect(list.map(({ name }: { name: string }) => name)).to.deep.equal(["a.txt", "b.txt"]);
    expect(list[1].tmpName.hash).to.equal(md5("second"));
    expect(one).to.include({ name: "c.txt", size: 0, error: 0 });
  });

  it("are refused by their extension, while the rest of the form arrives", async () => {
    const { json } = await post(
      form(
        { name: "bad", fileName: "shell.PHP", type: "text/plain", content: "<?php" },
        { name: "good", fileName: "ok.txt", type: "text/plain", content: "fine" },
        { name: "field", content: "value" },
      ),
    );
    expect(json.uploads.bad).to.deep.equal({ name: "shell.PHP", mime: "text/plain", size: 0, error: 8, tmpName: "" });
    expect(json.uploads.good.error).to.equal(0);
    expect(json.form).to.deep.equal({ field: "value" });
  });

  const refused: [string, number, () => Buffer][] = [
    ["a file that is too large", 413, () => form({ name: "f", fileName: "f.bin", content: randomBytes(17_000_000) })],
    [
      "too many files",
      413,
      () => form(...Array.from({ length: 4 }, (_, at) => ({ name: `f${at}`, fileName: "f.txt", content: "x" }))),
    ],
    ["too many fields", 413, () => form(...Array.from({ length: 6 }, (_, at) => ({ name: `f${at}`, content: "x" })))],
    ["a field that is too large", 413, () => form({ name: "f", content: "x".repeat(2000) })],
    ["a form without an end", 400, () => form({ name: "f", fileName: "f.txt", content: "x" }).subarray(0, -8)],
    ["a form with another boundary", 400, () => Buffer.from("--other\r\n\r\nx\r\n--other--\r\n")],
    ["a name of too many parts", 400, () => form({ name: `a${"[b]".repeat(127)}`, content: "1" })],
  ];
  for (const [what, status, body] of refused)
    it(`are refused with ${status}: ${what}`, async () => {
      const response = await post(body());
      expect(response.status, response.body).to.equal(status);
      await spoolEmpty("nothing was kept of it");
      expect((await post(form({ name: "a", content: "b" }))).status, "the server goes on").to.equal(200);
    });

  it("have names as PHP has them, with nothing told in two ways", async () => {
    const { json } = await post(
      form(
        { name: "d[date][date]", content: "1" },
        { name: "d[date]", content: "2" },
        { name: "rows[][x]", content: "1" },
        { name: "rows[][x]", content: "2" },
        { name: "shoe size[]", fileName: "a.txt", content: "a" },
        { name: "f", fileName: "first.txt", content: "1" },
        { name: "f", fileName: "last.txt", content: "2" },
      ),
    );
    expect(json.form).to.deep.equal({ d: { date: "2" }, rows: [{ x: "1" }, { x: "2" }] });
    expect(json.uploads.shoe_size[0]).to.include({ name: "a.txt", mime: "", error: 0 });
    expect(json.uploads.f).to.include({ name: "last.txt" });
  });

  it("that were left empty are empty texts, and no files", async () => {
    const empty = { fileName: "", type: "application/octet-stream", content: "" };
    const { json } = await post(
      form(
        { name: "avatar", ...empty },
        { name: "docs[]", ...empty },
        { name: "docs[]", fileName: "b.txt", content: "b" },
      ),
    );
    expect(json.form).to.deep.equal({ avatar: "", docs: [""] });
    expect(Object.keys(json.uploads)).to.deep.equal(["docs"]);
    expect(json.uploads.docs.map(({ name }: { name: string }) => name)).to.deep.equal(["b.txt"]);
  });

  it("are refused with 400: no boundary", async () => {
    const response = await post(form({ name: "a", content: "b" }), "", { "content-type": "multipart/form-data" });
    expect(response.status).to.equal(400);
  });

  it("are removed when the client leaves in the middle", async () => {
    const body = form({ name: "f", fileName: "f.bin", content: randomBytes(4_000_000) });
    const socket = connect(server.httpPort, "127.0.0.1");
    socket.write(`POST / HTTP/1.1\r\nHost: x\r\nContent-Type: ${TYPE}\r\nContent-Length: ${body.length}\r\n\r\n`);
    socket.write(body.subarray(0, 3_000_000));
    await eventually("the file was there", () => spooled().length === 1);
    socket.destroy();
    await spoolEmpty("the file was removed");
    await server.whole();
  });

  it("are removed when the worker is killed", async () => {
    const response = await post(form({ name: "f", fileName: "f.txt", content: "x" }), "?die=1");
    expect(response.status).to.equal(502);
    await spoolEmpty("the file was removed");
    await server.whole();
  });

  it("are removed when the frontend is killed", async () => {
    const answer = post(form({ name: "f", fileName: "f.txt", content: "x" }), "?sleep=1").catch(() => undefined);
    await eventually("the file was there", () => spooled().length === 1);
    const { processes } = await server.client.server.getServerInfo({});
    process.kill(processes.find(({ role }) => role === ProcessRole.HTTP_FRONTEND)!.pid, "SIGKILL");
    await answer;
    await spoolEmpty("the file was removed");
    await eventually("the frontend was back", async () => {
      return (await post(form({ name: "a", content: "b" })).catch(() => undefined))?.status === 200;
    });
  });

  it("are removed when the frontend is killed while they come in", async () => {
    const { processes } = await server.client.server.getServerInfo({});
    const body = form({ name: "f", fileName: "f.bin", content: randomBytes(4_000_000) });
    const socket = connect(server.httpPort, "127.0.0.1");
    socket.on("error", () => {});
    socket.write(`POST / HTTP/1.1\r\nHost: x\r\nContent-Type: ${TYPE}\r\nContent-Length: ${body.length}\r\n\r\n`);
    socket.write(body.subarray(0, 3_000_000));
    await eventually("the file was there", () => spooled().length === 1);
    process.kill(processes.find(({ role }) => role === ProcessRole.HTTP_FRONTEND)!.pid, "SIGKILL");
    await spoolEmpty("the file was removed");
    socket.destroy();
    await eventually("the frontend was back", async () => {
      return (await post(form({ name: "a", content: "b" })).catch(() => undefined))?.status === 200;
    });
  });

  it("of a core that was killed are removed by the next one", async () => {
    const first = await ServerProcess.start(config());
    const url = first.httpUrl;
    const answer = send(`${url}/?sleep=3`, {
      method: "POST",
      headers: { "content-type": TYPE },
      body: form({ name: "f", fileName: "f.txt", content: "x" }),
    }).catch(() => undefined);
    await eventually("the file was there", () => spooled().length === 1);
    const orphans = await first.pids();
    first.signal("SIGKILL");
    await first.ended();
    await answer;
    expect(spooled()).to.have.length(1);
    await ServerProcess.start(config());
    expect(spooled()).to.deep.equal([]);
    // They see that their channel is gone when they ask for the next request.
    await eventually("its workers ended", () => orphans.every((pid) => birthOf(pid) === undefined));
  });

  it("belong to the user that workers run as, and to nobody else", async function () {
    const nobody =
      process.getuid?.() === 0 ? /^nobody:[^:]*:(\d+):/m.exec(readFileSync("/etc/passwd", "utf8"))?.[1] : "";
    if (!nobody) return skip(this, "only root can have workers run as the user nobody");
    const dir = mkdtempSync(join(tmpdir(), "rr-test-owned-"));
    chmodSync(dir, 0o755);
    const other = await ServerProcess.start({ ...config(), http: { uploads: { dir } } }, ["-o", "server.user=nobody"]);
    const content = randomBytes(10_000);
    const answer = send(`${other.httpUrl}/?sleep=2`, {
      method: "POST",
      headers: { "content-type": TYPE },
      body: form({ name: "f", fileName: "f.bin", content }),
    });
    // It is made first, and then given away.
    const path = await eventually("the file was there and theirs", () => {
      const entries = readdirSync(dir, { recursive: true, encoding: "utf8" });
      return entries.find((name) => /\/upload\w+$/.test(name) && statSync(join(dir, name)).uid === Number(nobody));
    });
    const { uid, mode } = statSync(join(dir, path));
    expect([uid, mode & 0o777]).to.deep.equal([Number(nobody), 0o600]);
    const folder = statSync(join(dir, path, ".."));
    expect([folder.uid, folder.mode & 0o777], "the right to move files out of it").to.deep.equal([uid, 0o700]);
    const { tmpName } = JSON.parse((await answer).body).uploads.f;
    expect(tmpName.hash, "what the worker read").to.equal(md5(content));
    await other.stop();
    expect(readdirSync(dir)).to.deep.equal([]);
    rmSync(dir, { recursive: true });
  });

  it("have error 6 while there is no folder for them", async () => {
    const dir = mkdtempSync(join(tmpdir(), "rr-test-gone-"));
    const other = await ServerProcess.start({ ...config(), http: { uploads: { dir } } });
    rmSync(dir, { recursive: true });
    const upload = () =>
      send(`${other.httpUrl}/`, {
        method: "POST",
        headers: { "content-type": TYPE },
        body: form({ name: "f", fileName: "f.txt", content: "text" }, { name: "a", content: "b" }),
      });
    const { status, body } = await upload();
    expect(status).to.equal(200);
    expect(JSON.parse(body).uploads.f).to.include({ name: "f.txt", size: 0, error: 6, tmpName: "" });
    expect(JSON.parse(body).form).to.deep.equal({ a: "b" });
    await other.logLine(({ event, msg }) => event === "spool.failed" && msg.includes(dir));
    mkdirSync(dir);
    expect(JSON.parse((await upload()).body).uploads.f, "and it is found again").to.include({ size: 4, error: 0 });
    await other.stop();
    rmSync(dir, { recursive: true });
  });

  it("need their folder at the start, and are told which one is not there", async () => {
    const file = join(spool, "file");
    writeFileSync(file, "");
    for (const [dir, problem] of [
      [join(spool, "nowhere"), "does not exist"],
      [file, "is no folder"],
    ] as const) {
      const refused = await ServerProcess.launch({ ...config(), http: { uploads: { dir } } });
      expect((await refused.ended()).code, "a mistake in the configuration").to.equal(2);
      expect(refused.output.join("\n")).to.contain(`http.uploads.dir: ${dir} ${problem}`);
      await refused.stop();
    }
    rmSync(file);
  });

  it("have error 7 when all of them together are too many, and the disk is free for others", async () => {
    const http = { uploads: { dir: spool, max_spool_size: "1MB" } };
    const other = await ServerProcess.start({ ...config(), http });
    const upload = async (bytes: number, query = "") => {
      const body = form({ name: "f", fileName: "f.bin", content: randomBytes(bytes) });
      const response = await send(`${other.httpUrl}/${query}`, {
        method: "POST",
        headers: { "content-type": TYPE },
        body,
      });
      return JSON.parse(response.body).uploads.f.error;
    };
    expect(await upload(1_100_000)).to.equal(7);
    const first = upload(700_000, "?sleep=1");
    await eventually("the first one was there", () => spooled().length === 1);
    expect(await upload(700_000)).to.equal(7);
    expect(await first).to.equal(0);
    await spoolEmpty("both were removed");
    expect(await upload(700_000)).to.equal(0);
    await other.logLine(({ event, msg }) => event === "spool.failed" && msg.includes("max_spool_size"));
    await other.stop();
  });

  it("have error 7 if the disk takes no more, and leave nothing on it", async function () {
    if (spawnSync("prlimit", ["--version"]).status !== 0)
      return skip(this, "there is no prlimit to make the disk seem full with");
    const other = await ServerProcess.start(config());
    execFileSync("prlimit", ["--pid", String(other.pid), "--fsize=1000000:1000000"]);
    const { status, body } = await send(`${other.httpUrl}/`, {
      method: "POST",
      headers: { "content-type": TYPE },
      body: form(
        { name: "large", fileName: "l.bin", content: randomBytes(3_000_000) },
        { name: "small", fileName: "s.txt", content: "text" },
      ),
    });
    expect(status).to.equal(200);
    const { large, small } = JSON.parse(body).uploads;
    expect(large).to.include({ name: "l.bin", size: 1_000_000, error: 7, tmpName: "" });
    expect(small).to.include({ size: 4, error: 0 });
    await spoolEmpty("nothing was left");
    await other.stop();
  });

  it("leave memory flat, however large they are", async () => {
    const { processes } = await server.client.server.getServerInfo({});
    const memory = async () => (await server.client.stats.getStats({})).stats!;
    expect(processes).to.have.length.greaterThan(1);
    const content = randomBytes(15_000_000);
    const body = form(...["a", "b", "c"].map((name) => ({ name, fileName: `${name}.bin`, content })));
    await post(body);
    const before = await memory();
    for (let count = 0; count < 8; count++) {
      const { json } = await post(body);
      expect(json.uploads.c.tmpName.hash).to.equal(md5(content));
    }
    const after = await memory();
    const grown = Number(after.coreMemoryBytes - before.coreMemoryBytes);
    expect(grown, "bytes of the core after 360 MB more").to.be.lessThan(64 * 1024 * 1024);
    await spoolEmpty("all were removed");
  });

  it("leave other bodies alone", async () => {
    const urlencoded = await post(Buffer.from("a=1&b[]=2"), "", {
      "content-type": "application/x-www-form-urlencoded",
    });
    expect(urlencoded.json.form).to.deep.equal({ a: "1", b: ["2"] });
    const raw = await post(Buffer.from("{}"), "", { "content-type": "application/json" });
    expect(raw.json).to.include({ parsed: false, bodyBytes: 2 });
  });
});

/** Files below a folder, however deep; folders that vanish meanwhile are empty. */
function files(directory: string): string[] {
  mkdirSync(directory, { recursive: true });
  try {
    return readdirSync(directory, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => entry.name);
  } catch {
    return files(directory);
  }
}
