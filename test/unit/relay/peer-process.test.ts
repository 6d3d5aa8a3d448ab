import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { peerProof } from "../../../src/relay/peer-process.ts";

/** Connects to what its argument says and stays until it is killed. */
const CONNECTS = `require("net").connect(JSON.parse(process.argv[1])); setInterval(() => {}, 1000)`;
const IDLES = "setInterval(() => {}, 1000)";

describe("The process at the other end of a connection", () => {
  const children: ChildProcess[] = [];
  let server: Server;
  let directory: string;

  before(function () {
    if (process.platform !== "linux") this.skip();
  });
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "rr-test-peer-"));
    server = createServer();
  });
  afterEach(async () => {
    for (const child of children.splice(0)) {
      child.kill("SIGKILL");
      await once(child, "exit");
    }
    server.close();
    rmSync(directory, { recursive: true });
  });

  function start(script: string, ...args: string[]): number {
    const child = spawn(process.execPath, ["-e", script, ...args], { stdio: "ignore" });
    children.push(child);
    return child.pid!;
  }

  /** A child that has connected. */
  async function connection(at: { path?: string; host?: string; port?: number }): Promise<[Socket, number]> {
    server.listen(at);
    await once(server, "listening");
    const address = server.address();
    const target = typeof address === "string" ? { path: address } : { host: at.host, port: address!.port };
    const connected = once(server, "connection");
    const pid = start(CONNECTS, JSON.stringify(target));
    const [socket] = (await connected) as [Socket];
    socket.on("error", () => {});
    return [socket, pid];
  }

  for (const host of ["127.0.0.1", "::1"])
    it(`is known by the addresses of both ends (${host})`, async () => {
      const [socket, pid] = await connection({ host, port: 0 });
      expect(await peerProof(socket, pid)).to.equal("proven");
      expect(await peerProof(socket, start(IDLES)), "another child").to.equal("refuted");
      expect(await peerProof(socket, process.pid), "no child").to.equal("refuted");
      expect(await peerProof(socket, 4_194_304), "no process").to.equal("refuted");
    });

  it("is not a child that has its own connection to the same port", async () => {
    const [, pid] = await connection({ host: "127.0.0.1", port: 0 });
    const connected = once(server, "connection");
    const { port } = server.address() as { port: number };
    const other = start(CONNECTS, JSON.stringify({ host: "127.0.0.1", port }));
    const [socket] = (await connected) as [Socket];
    expect(await peerProof(socket, pid)).to.equal("refuted");
    expect(await peerProof(socket, other)).to.equal("proven");
  });

  it("has at least connected somewhere, on a unix socket", async () => {
    const [socket, pid] = await connection({ path: join(directory, "relay.sock") });
    expect(await peerProof(socket, pid)).to.equal("proven");
    expect(await peerProof(socket, start(IDLES))).to.equal("refuted");
  });
});
