import { execFileSync } from "node:child_process";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { connect, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { lookAtSocketPath, placeSocket } from "../../../src/net/unix-socket.ts";
import { leaveDeadSocket } from "../../support/dead-socket.ts";

describe("placeSocket", () => {
  let directory: string;
  const servers: Server[] = [];

  before(function () {
    if (process.platform === "win32") this.skip();
  });
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "rr-place-"));
  });
  afterEach(() => {
    for (const server of servers.splice(0)) server.close();
    rmSync(directory, { recursive: true, force: true });
  });

  /** A server that greets with its name. */
  function greeter(name: string) {
    return (path: string) => {
      const server = createServer((socket) => socket.on("error", () => {}).end(name));
      servers.push(server);
      return new Promise<void>((resolve, reject) => {
        server.once("error", reject);
        server.listen(path, resolve);
      });
    };
  }

  async function greetingAt(path: string): Promise<string> {
    const pieces: Buffer[] = [];
    for await (const piece of connect(path)) pieces.push(piece as Buffer);
    return Buffer.concat(pieces).toString();
  }

  const place = (path: string, name = "us", mode = 0o600) => placeSocket(path, { mode }, greeter(name));
  const problemOf = (path: string) =>
    place(path).then(
      () => "",
      (error: Error) => error.message,
    );

  it("makes a socket with its rights, and leaves nothing beside it", async () => {
    const path = join(directory, "s");
    const placed = await place(path, "us", 0o660);
    expect(await greetingAt(path)).to.equal("us");
    expect((lstatSync(path).mode & 0o777).toString(8)).to.equal("660");
    expect(execFileSync("ls", ["-A", directory], { encoding: "utf8" }).trim()).to.equal("s");
    placed.remove();
    expect(existsSync(path)).to.equal(false);
  });

  it("takes the place of what a killed server left", async () => {
    const path = join(directory, "s");
    await leaveDeadSocket(path);
    expect((await lookAtSocketPath(path)).state).to.equal("stale");
    await place(path);
    expect(await greetingAt(path)).to.equal("us");
  });

  it("leaves a socket that lives to whoever listens on it, and names the process", async () => {
    const path = join(directory, "s");
    await place(path, "first");
    const problem = await problemOf(path);
    expect(problem).to.contain("in use");
    if (process.platform === "linux") expect(problem).to.contain(`by process ${process.pid} (`);
    expect(await greetingAt(path)).to.equal("first");
  });

  it("names a live socket's owner who bound it in another way, too", async function () {
    if (process.platform !== "linux") return this.skip();
    const path = join(directory, "s");
    await greeter("stranger")(path);
    expect(await problemOf(path)).to.contain(`by process ${process.pid} (`);
  });

  for (const [what, make, shown] of [
    ["a file", (path: string) => writeFileSync(path, "precious"), "a file"],
    ["a folder", (path: string) => mkdirSync(path), "a folder"],
    ["a named pipe", (path: string) => void execFileSync("mkfifo", [path]), "a named pipe"],
    ["a link to nowhere", (path: string) => symlinkSync("/nowhere", path), "a symbolic link"],
  ] as const)
    it(`does not touch ${what}`, async () => {
      const path = join(directory, "s");
      make(path);
      const before = lstatSync(path).ino;
      expect(await problemOf(path)).to.contain(`there is ${shown}`);
      expect(lstatSync(path).ino).to.equal(before);
      if (what === "a file") expect(readFileSync(path, "utf8")).to.equal("precious");
    });

  it("removes nothing that took its place", async () => {
    const path = join(directory, "s");
    const placed = await place(path, "first");
    rmSync(path);
    expect(placed.isInPlace).to.equal(false);
    await place(path, "second");
    placed.remove();
    // The first server's own end leaves it alone, too.
    await new Promise((resolve) => servers.shift()!.close(resolve));
    expect(await greetingAt(path)).to.equal("second");
  });

  it("removes what a server left that was killed while it made the socket, and nothing else", async () => {
    const path = join(directory, "s");
    await leaveDeadSocket(`${path}.99999999`);
    await leaveDeadSocket(`${path}.${process.ppid}`);
    await leaveDeadSocket(join(directory, "other.99999999"));
    writeFileSync(`${path}.99999998`, "a file");
    await place(path);
    const left = execFileSync("ls", ["-A", directory], { encoding: "utf8" }).trim().split("\n");
    expect(left).to.have.members(["s", `s.${process.ppid}`, "other.99999999", "s.99999998"]);
  });

  it("lets one of two win that start at once", async () => {
    const path = join(directory, "s");
    await leaveDeadSocket(path);
    const results = await Promise.allSettled([place(path, "a"), place(path, "b"), place(path, "c")]);
    expect(results.filter(({ status }) => status === "fulfilled")).to.have.length(1);
    expect(["a", "b", "c"]).to.include(await greetingAt(path));
  });

  it("works with a path as long as the kernel takes", async () => {
    const path = join(directory, "x".repeat(107 - Buffer.byteLength(directory) - 1));
    const placed = await place(path);
    expect(await greetingAt(path)).to.equal("us");
    placed.remove();
  });
});
