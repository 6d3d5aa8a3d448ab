import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { expect } from "chai";
import type { HttpOptions } from "../../../../src/config/options.ts";
import { closeFrontends, send, testFrontend } from "../support.ts";

const TEXT = "0123456789".repeat(500);

describe("sendfile middleware", () => {
  let directory: string;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "rrctl-sendfile-"));
    await mkdir(join(directory, "storage/folder"), { recursive: true });
    await writeFile(join(directory, "storage/report é.txt"), TEXT);
    await writeFile(join(directory, "storage/empty.bin"), "");
    await writeFile(join(directory, "secret.txt"), "secret");
    await symlink("../secret.txt", join(directory, "storage/link.txt"));
  });

  afterEach(async () => {
    await closeFrontends();
    await rm(directory, { recursive: true });
  });

  async function naming(path: string, head: Record<string, unknown> = {}, overrides: Partial<HttpOptions> = {}) {
    const started = await testFrontend({
      middleware: ["sendfile"],
      sendfile: { root: join(directory, "storage"), rootOnly: true },
      ...overrides,
    });
    started.dispatch.answerer = (call) => call.answer(200, { "X-Sendfile": path, ...head }, "dropped");
    return started;
  }

  it("sends the file that the application names, with the application's headers", async () => {
    const { port, lines } = await naming(
      "report é.txt",
      { "Content-Disposition": "attachment", "Content-Type": "text/x-report", "Content-Length": "7" },
      { accessLogs: true },
    );
    const { status, headers, body } = await send(port);
    expect(status).to.equal(200);
    expect(body).to.equal(TEXT);
    expect(headers).to.include({
      "content-disposition": "attachment",
      "content-type": "text/x-report",
      "content-length": "5000",
      "accept-ranges": "bytes",
    });
    expect(headers).to.have.property("last-modified");
    expect(headers).not.to.have.property("x-sendfile");
    expect(lines.find(({ message }) => message === "http access log")!.fields.write_bytes).to.equal(5000);
  });

  it("finds the type by the name if the application says none, and sends empty files", async () => {
    const { port } = await naming(join("empty.bin"));
    const { headers, body } = await send(port);
    expect(headers).to.include({ "content-type": "application/octet-stream", "content-length": "0" });
    expect(body).to.equal("");
  });

  it("sends parts, and what has not changed not at all", async () => {
    const { port } = await naming("report é.txt", { ETag: '"v1"' });
    const part = await send(port, { headers: { range: "bytes=10-14" } });
    expect(part).to.deep.include({ status: 206, body: "01234" });
    expect(part.headers).to.include({ "content-range": "bytes 10-14/5000", "content-length": "5", etag: '"v1"' });
    expect((await send(port, { headers: { range: "bytes=10-14", "if-range": '"v2"' } })).status).to.equal(200);
    expect((await send(port, { headers: { range: "bytes=9999-" } })).status).to.equal(416);
    expect((await send(port, { headers: { "if-none-match": '"v1"' } })).status).to.equal(304);
    const head = await send(port, { method: "HEAD" });
    expect(head).to.deep.include({ status: 200, body: "" });
    expect(head.headers["content-length"]).to.equal("5000");
  });

  it("keeps another status than 200, and the whole file then", async () => {
    const { dispatch, port } = await naming("report é.txt");
    dispatch.answerer = (call) => call.answer(404, { "X-Sendfile": "report é.txt" });
    const { status, body } = await send(port, { headers: { range: "bytes=0-1" } });
    expect({ status, length: body.length }).to.deep.equal({ status: 404, length: 5000 });
  });

  for (const [path, status] of [
    ["missing.txt", 404],
    ["folder", 404],
    ["report é.txt\\0", 404],
    ["../secret.txt", 403],
    ["..\\secret.txt", 403],
    ["/etc/../etc/passwd", 403],
    ["/etc/passwd", 403],
    ["link.txt", 403],
  ] as const)
    it(`answers ${status} for ${path}`, async () => {
      const { port } = await naming(path);
      const response = await send(port);
      expect(response).to.deep.include({ status, body: "" });
      expect(response.headers).not.to.have.property("x-sendfile");
    });

  it("sends any file without a root, and never by a path with dots", async () => {
    const overrides = { sendfile: { root: directory, rootOnly: false } };
    const absolute = await naming(join(directory, "secret.txt"), {}, overrides);
    expect((await send(absolute.port)).body).to.equal("secret");
    const relative = await naming("storage/link.txt", {}, overrides);
    expect((await send(relative.port)).body).to.equal("secret");
    const dots = await naming("storage/../secret.txt", {}, overrides);
    expect((await send(dots.port)).status).to.equal(403);
  });

  it("drops what a streaming application sends besides, or does not send", async () => {
    const { dispatch, port, lines } = await naming("report é.txt");
    dispatch.answerer = (call) => {
      const context = call.head(200, { "X-Sendfile": "report é.txt", "Content-Length": "99" });
      call.piece({ context, body: Buffer.from("ab"), more: true });
      call.piece({ body: Buffer.from("c") });
    };
    expect((await send(port)).body).to.equal(TEXT);
    expect(lines.filter(({ level }) => level === "warn")).to.have.length(0);
  });

  for (const middleware of [
    ["gzip", "sendfile"],
    ["sendfile", "gzip"],
  ])
    it(`stands with ${middleware}: the first one has the last word`, async () => {
      const { port } = await naming("report é.txt", {}, { middleware });
      const { headers, bytes } = await send(port, { headers: { "accept-encoding": "gzip" } });
      const compressed = middleware[0] === "gzip";
      expect(headers["content-encoding"]).to.equal(compressed ? "gzip" : undefined);
      expect((compressed ? gunzipSync(bytes) : bytes).toString()).to.equal(TEXT);
    });

  it("leaves all other responses alone", async () => {
    const { dispatch, port } = await naming("");
    dispatch.answerer = (call) => call.answer(200, { "X-A": "1" }, "body");
    expect(await send(port)).to.deep.include({ status: 200, body: "body" });
  });
});
