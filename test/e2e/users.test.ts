import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { eventually } from "../support/eventually.ts";
import { send } from "../support/http-load.ts";
import { needsPhp } from "../support/php.ts";
import { ServerProcess, stopServers } from "../support/server-process.ts";

const NOBODY = 65_534;

/** A server of root with workers and frontends of others. */
describe("Users", function () {
  this.timeout(40_000);
  let directory: string;

  before(function () {
    needsPhp(this);
    if (process.platform === "linux" && process.getuid?.() === 0) return;
    console.log("    skipped: only root can start processes as another user");
    this.skip();
  });
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "rr-test-users-"));
    chmodSync(directory, 0o755);
  });
  afterEach(async () => {
    await stopServers();
    rmSync(directory, { recursive: true, force: true });
  });

  const uidOf = (pid: number) => statSync(`/proc/${pid}`).uid;
  const environmentOf = (pid: number) =>
    Object.fromEntries(
      readFileSync(`/proc/${pid}/environ`, "utf8")
        .split("\0")
        .map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]),
    );

  it("of workers and frontends are what the configuration says, with an environment of their own", async () => {
    const argv = ["-o", "server.user=nobody", "-o", "http.user=nobody", "-o", "server.env.ADDED=yes"];
    const env = { HOME: "/root", MAIL: "/var/mail/root", SEEN: "by all" };
    const server = await ServerProcess.launch({}, argv, { env });
    await server.serving();
    expect((await send(`${server.httpUrl}/pid`)).status).to.equal(200);
    const [worker] = await server.pids();
    const [frontend] = (await server.client.server.getServerInfo({})).frontends;
    for (const pid of [worker!, frontend!.pid]) {
      expect(uidOf(pid)).to.equal(NOBODY);
      expect(environmentOf(pid)).to.deep.include({ USER: "nobody", LOGNAME: "nobody", SEEN: "by all" });
      expect(environmentOf(pid).HOME).to.not.equal("/root");
      expect(environmentOf(pid)).to.not.have.property("MAIL");
    }
    expect(environmentOf(worker!).ADDED).to.equal("yes");
    expect((await server.client.server.getServerInfo({})).warnings.join()).to.not.contain("runs as root");
    // Another one comes to the core as well.
    process.kill(frontend!.pid, "SIGKILL");
    await eventually("HTTP was served again", () =>
      send(`${server.httpUrl}/pid`).then(
        ({ status }) => status === 200,
        () => false,
      ),
    );
  });

  it("that are root are warned of, and a chosen environment is all that workers get", async () => {
    const argv = ["-o", "server.clear_env=true", "-o", "server.pass_env=SEEN"];
    const server = await ServerProcess.launch({}, argv, { env: { SEEN: "chosen", HIDDEN: "secret" } });
    await server.serving();
    const [worker] = await server.pids();
    const environment = environmentOf(worker!);
    expect(environment).to.deep.include({ SEEN: "chosen" }).and.not.have.property("HIDDEN");
    expect(environment).to.have.property("RR_MODE", "http");
    const { warnings } = await server.client.server.getServerInfo({});
    expect(warnings.join()).to.contain("PHP runs as root");
    expect(server.log.find(({ event }) => event === "server.warning")?.level).to.equal("warn");
  });

  it("can use the sockets that are for them, and nobody else can", async () => {
    const relay = join(directory, "relay.sock");
    const rpc = join(directory, "rpc.sock");
    const fcgi = join(directory, "fcgi.sock");
    const argv = ["-o", `rpc.listen=unix://${rpc}`, "-o", `server.relay=unix://${relay}`, "-o", "server.user=nobody"];
    argv.push("-o", `http.fcgi.address=unix://${fcgi}`, "-o", "http.fcgi.group=tty");
    const server = await ServerProcess.launch({}, argv);
    await server.serving();
    expect((await send(`${server.httpUrl}/pid`)).status).to.equal(200);
    for (const path of [relay, rpc]) {
      const { uid, mode } = statSync(path);
      expect([uid, (mode & 0o777).toString(8)], path).to.deep.equal([NOBODY, "660"]);
    }
    const { uid, gid, mode } = statSync(fcgi);
    expect([uid, (mode & 0o777).toString(8)]).to.deep.equal([0, "660"]);
    expect(gid).to.not.equal(0);
  });

  it("that cannot be had are named with their key", async () => {
    const server = await ServerProcess.launch({}, ["-o", "http.user=nobody-at-all"]);
    expect((await server.ended()).code).to.equal(2);
    expect(server.output.join("\n")).to.match(/http\.user: \\?"nobody-at-all\\?" is not in/);
  });
});
