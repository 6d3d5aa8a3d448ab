import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { eventually } from "../support/eventually.ts";
import { send } from "../support/http-load.ts";
import { needsPhp } from "../support/php.ts";
import { freePort } from "../support/pool-options.ts";
import { type ServerConfig, ServerProcess, stopServers } from "../support/server-process.ts";

/** Where a server listens, and what it leaves to others. */
describe("Addresses of a server", function () {
  this.timeout(40_000);
  let directory: string;

  before(function () {
    needsPhp(this);
    if (process.platform === "win32") this.skip();
  });
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "rr-test-addresses-"));
  });
  afterEach(async () => {
    await stopServers();
    rmSync(directory, { recursive: true, force: true });
  });

  const accepts = (target: { path: string } | { port: number; host: string }) =>
    new Promise<boolean>((resolve) => {
      const socket = connect(target as never);
      socket.once("connect", () => {
        socket.destroy();
        resolve(true);
      });
      socket.once("error", () => resolve(false));
    });

  const small: ServerConfig = { pool: { num_workers: 1 } };

  for (const [key, shown] of [
    ["control.listen", "gRPC"],
    ["rpc.listen", "RPC"],
    ["server.relay", "workers"],
    ["http.fcgi.address", "HTTP"],
  ] as const)
    it(`of another server are not taken: ${key}`, async () => {
      const path = join(directory, "s.sock");
      const argv = ["-o", `${key}=unix://${path}`];
      const first = await ServerProcess.launch(small, argv);
      await first.serving();
      const inode = statSync(path).ino;
      const second = await ServerProcess.launch(small, argv);
      expect((await second.ended()).code).to.equal(1);
      const text = second.output.join("\n");
      expect(text).to.contain(`cannot listen for ${shown} on ${path}`).and.contain(key);
      expect(text).to.contain("in use").and.contain(`by process ${first.pid} (`);
      expect(statSync(path).ino).to.equal(inode);
      expect(await accepts({ path })).to.equal(true);
      expect((await send(`${first.httpUrl}/pid`)).status).to.equal(200);
      await first.stop();
      expect(existsSync(path)).to.equal(false);
    });

  it("are no files of somebody else", async () => {
    const path = join(directory, "precious");
    writeFileSync(path, "precious");
    for (const key of ["control.listen", "rpc.listen", "server.relay", "http.fcgi.address"]) {
      const server = await ServerProcess.launch(small, ["-o", `${key}=unix://${path}`]);
      expect((await server.ended()).code, key).to.equal(1);
      expect(server.output.join("\n")).to.contain("there is a file, which is not touched");
      expect(readFileSync(path, "utf8")).to.equal("precious");
    }
  });

  it("without a host are those of both families", async () => {
    const [http, status, rpc] = [await freePort(), await freePort(), await freePort()];
    const server = await ServerProcess.launch(
      { ...small, http: { address: `:${http}` }, status: { address: `:${status}` } },
      ["-o", `rpc.listen=tcp://:${rpc}`, "-o", "rpc.insecure=true"],
    );
    await server.serving();
    for (const port of [http, status, rpc])
      for (const host of ["127.0.0.1", "::1"]) expect(await accepts({ host, port }), `${host} ${port}`).to.equal(true);
    expect((await send(`http://127.0.0.1:${http}/pid`)).status).to.equal(200);
    expect((await send(`http://[::1]:${http}/pid`)).status).to.equal(200);
  });

  it("by name keep their port for all frontends, and while those are started again", async () => {
    const port = await freePort();
    const server = await ServerProcess.start({ ...small, http: { address: `localhost:${port}`, frontends: 2 } });
    const url = `http://localhost:${port}/pid`;
    expect((await send(url)).status).to.equal(200);
    const { frontends } = await server.client.server.getServerInfo({});
    expect(frontends).to.have.length(2);
    for (const { pid } of frontends) process.kill(pid, "SIGKILL");
    // The port is held meanwhile: connections wait in the kernel.
    expect(await accepts({ host: "127.0.0.1", port })).to.equal(true);
    await eventually("HTTP was served again", () =>
      send(url).then(
        ({ status }) => status === 200,
        () => false,
      ),
    );
  });

  it("that somebody removed are told, or made again", async () => {
    const [fcgi, rpc] = [join(directory, "fcgi.sock"), join(directory, "rpc.sock")];
    const argv = ["-o", `http.fcgi.address=unix://${fcgi}`, "-o", `rpc.listen=unix://${rpc}`];
    const server = await ServerProcess.launch(small, argv);
    await server.serving();
    for (const path of [fcgi, rpc]) rmSync(path);
    await eventually("it could be reached again", () => accepts({ path: rpc }));
    await server.logLine(({ event, path }) => event === "server.socket_lost" && path === fcgi);
    const { health } = await server.client.server.getServerInfo({});
    expect(health!.server!.reason).to.contain(fcgi);
  });
});
