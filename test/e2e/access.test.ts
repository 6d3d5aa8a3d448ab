import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { expect } from "chai";
import { type Certificate, makeCertificate, noOpenssl } from "../support/certificates.ts";
import { compiledRrctl } from "../support/compiled-server.ts";
import { eventually } from "../support/eventually.ts";
import { send } from "../support/http-load.ts";
import { blocksOf } from "../support/markdown.ts";
import { needsPhp, skip } from "../support/php.ts";
import { type ServerConfig, ServerProcess, stopServers } from "../support/server-process.ts";

interface Ran {
  readonly code: number | null;
  readonly out: string;
}

async function run(command: readonly string[], cwd: string, env: Record<string, string> = {}): Promise<Ran> {
  const child = spawn(command[0]!, command.slice(1), {
    cwd,
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let out = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (chunk) => {
      out += chunk;
    });
  const [code] = (await once(child, "close")) as [number | null];
  return { code, out };
}

const rrctlCommand = async () => [process.execPath, await compiledRrctl()];
const rrctl = async (argv: readonly string[], cwd: string, env?: Record<string, string>) =>
  run([...(await rrctlCommand()), ...argv], cwd, env);

describe("The control API, as users find it", function () {
  this.timeout(60_000);
  before(function () {
    needsPhp(this);
    if (process.platform === "win32") skip(this, "there are no sockets in the file system of this kind");
  });
  afterEach(stopServers);

  describe("without a word about it", () => {
    it("is a socket that rrctl finds by itself, for this user alone", async () => {
      const server = await ServerProcess.start({ control: null });
      const path = server.controlAddress.replace("unix://", "");
      expect(statSync(path).mode & 0o777).to.equal(0o600);
      expect(server.output.filter((line) => /^ {2}control /.test(line))).to.have.length(1);
      for (const argv of [["pools"], ["info"], ["scale", "http", "--workers", "1"], ["reset"]]) {
        const { code, out } = await rrctl(argv, server.directory);
        expect(code, out).to.equal(0);
      }
      const { out } = await rrctl(["info"], server.directory);
      expect(out).to.contain(`${server.controlAddress} (the server of .rr.yaml, pid ${server.pid})`);
      expect(out).not.to.contain("controls the server");
    });

    it("does not get in the way of a second project, nor of RPC on its usual port", async () => {
      const [one, other] = await Promise.all([
        ServerProcess.start({ control: null }),
        ServerProcess.start({ control: null }),
      ]);
      for (const server of [one, other]) {
        const { out } = await rrctl(["info", "-o", "json"], server.directory);
        expect(JSON.parse(out).config_file).to.equal(join(server.directory, ".rr.yaml"));
      }
    });

    it("is found wherever -o put it", async () => {
      for (const listen of ["unix://elsewhere.sock", "tcp://127.0.0.1:0"]) {
        const server = await ServerProcess.start({ control: null }, ["-o", `control.listen=${listen}`]);
        const { code, out } = await rrctl(["info"], server.directory);
        expect(code, out).to.equal(0);
        expect(out).to.contain(`(the server of .rr.yaml, pid ${server.pid})`);
        await server.stop();
      }
    });

    it("says so where no server runs", async () => {
      const directory = mkdtempSync(join(tmpdir(), "rr-test-none-"));
      writeFileSync(join(directory, ".rr.yaml"), 'version: "3"\n');
      const { code, out } = await rrctl(["pools"], directory);
      rmSync(directory, { recursive: true });
      expect(code).to.equal(6);
      expect(out).to.contain(`no server runs with ${join(directory, ".rr.yaml")}`);
    });

    it("names the servers where several run with one file", async () => {
      const first = await ServerProcess.start({ control: null });
      const second = spawn(process.execPath, [await compiledRrctl(), "serve", "-s"], {
        cwd: first.directory,
        stdio: "ignore",
      });
      try {
        const { out } = await eventually("both were found", async () => {
          const ran = await rrctl(["pools"], first.directory);
          return ran.code === 2 && ran;
        });
        expect(out)
          .to.contain("2 servers run with")
          .and.contain(`(pid ${first.pid})`)
          .and.contain(`(pid ${second.pid})`);
        const own = await rrctl(["pools", "--address", first.controlAddress], first.directory);
        expect(own.code, own.out).to.equal(0);
      } finally {
        second.kill("SIGTERM");
        await once(second, "exit");
      }
      expect((await rrctl(["pools"], first.directory)).code).to.equal(0);
    });

    it("is found again after the server was killed and started anew", async () => {
      const server = await ServerProcess.start({ control: null });
      const { controlAddress } = server;
      server.signal("SIGKILL");
      await server.ended();
      const missing = await rrctl(["pools"], server.directory);
      expect(missing.code).to.equal(6);
      const again = spawn(process.execPath, [await compiledRrctl(), "serve"], {
        cwd: server.directory,
        stdio: "ignore",
      });
      try {
        const { out } = await eventually("the new server was found", async () => {
          const ran = await rrctl(["info"], server.directory);
          return ran.code === 0 && ran;
        });
        // Nothing piles up: the place of the dead one is taken.
        expect(out).to.contain(controlAddress);
      } finally {
        again.kill("SIGTERM");
        await once(again, "exit");
      }
    });
  });

  describe("from another user id", () => {
    const OTHER = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"];
    before(function () {
      if (process.getuid?.() !== 0 || spawnSync("setpriv", ["--version"]).status !== 0)
        skip(this, "needs root and setpriv");
    });

    it("nothing is allowed on the sockets", async () => {
      const server = await ServerProcess.start({ control: null });
      const path = server.controlAddress.replace("unix://", "");
      // The other user may read the project, as deployments are.
      chmodSync(server.directory, 0o755);
      const command = [...OTHER, ...(await rrctlCommand())];
      for (const argv of [
        ["info"],
        ["pools"],
        ["config", "show"],
        ["events"],
        ["pause", "http"],
        ["reset"],
        ["scale", "http", "--workers", "1"],
        ["dispatch", "http", "--body", "x"],
        ["stop"],
      ])
        for (const more of [[], ["--address", server.controlAddress]]) {
          const { code, out } = await run([...command, ...argv, ...more], server.directory);
          expect(code, `${argv.join(" ")}: ${out}`).to.equal(6);
          expect(out).to.contain("permission denied");
        }
      const readable = await run([...OTHER, "ls", dirname(path)], "/");
      expect(readable.code, "the folder is not listed").not.to.equal(0);
      const connects =
        "for (const path of process.argv.slice(1)) require('node:net').connect(path)" +
        ".on('connect', () => { console.log('in: ' + path); process.exit(1); }).on('error', () => {})";
      const sockets = spawnSync(
        "sh",
        ["-c", `ls /run/rrctl/*.sock /run/rrctl/*/*.sock ${tmpdir()}/rr*/*.sock 2>/dev/null`],
        {
          encoding: "utf8",
        },
      );
      // Those of other servers on this machine are none of this test's business.
      const mine = sockets.stdout.split("\n").filter((one) => one === path || one.includes(`-${server.pid}-`));
      expect(mine).to.include(path);
      const { code, out } = await run([...OTHER, process.execPath, "-e", connects, ...mine], "/");
      expect(code, out).to.equal(0);
      expect((await send(`${server.httpUrl}/pid`)).status).to.equal(200);
    });

    it("members of control.group get in where control.mode says so, and nobody else", async () => {
      const server = await ServerProcess.start({
        controlListen: undefined,
        control: { listen: undefined, mode: "0660", group: "65534" },
      });
      const { mode, gid } = statSync(server.controlAddress.replace("unix://", ""));
      expect([mode & 0o777, gid]).to.deep.equal([0o660, 65_534]);
      chmodSync(server.directory, 0o755);
      const member = await run([...OTHER, ...(await rrctlCommand()), "pools"], server.directory);
      expect(member.code, member.out).to.equal(0);
      const stranger = ["setpriv", "--reuid", "65533", "--regid", "65533", "--clear-groups"];
      const refused = await run([...stranger, ...(await rrctlCommand()), "pools"], server.directory);
      expect(refused.code).to.equal(6);
    });
  });

  const refusals: [what: string, config: ServerConfig, said: RegExp][] = [
    [
      "an address for other machines without anything",
      { controlListen: "tcp://0.0.0.0:0" },
      /control\.listen: other machines reach 0\.0\.0\.0:0, so it needs encryption and callers who say who they are: add `tls: .*` and `tokens: control\.tokens`/,
    ],
    ["all addresses", { controlListen: "tcp://:0" }, /other machines reach :0/],
    ["a name", { controlListen: "tcp://core.internal:0" }, /other machines reach core\.internal:0/],
    [
      "RPC for other machines",
      { rpc: { listen: "tcp://0.0.0.0:0" } },
      /rpc\.listen: whoever reaches 0\.0\.0\.0:0 resets pools .* add `insecure: true` to `rpc`/,
    ],
    [
      "tokens that are not there",
      { control: { tokens: "none" } },
      /none does not exist: `rrctl token create` makes it/,
    ],
    ["an unknown mode", { control: { mode: "0999" } }, /control\.mode/],
  ];
  for (const [what, config, said] of refusals)
    it(`does not start with ${what}, and says what to write`, async () => {
      const server = await ServerProcess.launch({ ...config, http: null, pools: { echo: { num_workers: 1 } } });
      expect((await server.ended()).code).to.equal(2);
      expect(server.output.join("\n")).to.match(said);
    });

  it("warns of an address of this machine that asks nobody", async () => {
    const server = await ServerProcess.start({});
    const warning = await server.logLine(({ event }) => event === "control.open");
    expect(warning).to.include({ level: "warn" });
    expect(warning.msg).to.contain("every user and program of this machine controls the server");
    const { out } = await rrctl(["info"], server.directory);
    expect(out).to.match(/warning +every user and program of this machine/);
  });

  describe("with tokens and TLS", () => {
    let directory: string;
    let certificate: Certificate;
    before(function () {
      const reason = noOpenssl();
      if (reason !== undefined) return skip(this, reason);
      directory = mkdtempSync(join(tmpdir(), "rr-test-access-"));
      certificate = makeCertificate(directory, "core");
    });
    after(() => {
      if (directory) rmSync(directory, { recursive: true });
    });

    const token = async (role: string): Promise<string> => {
      const file = join(directory, `${role}.token`);
      const argv = ["token", "create", "--name", role, "--role", role, "--file", join(directory, "tokens")];
      const { code, out } = await rrctl(argv, directory);
      expect(code, out).to.equal(0);
      writeFileSync(file, /rrctl_\S+/.exec(out)![0], { mode: 0o600 });
      return file;
    };

    it("rrctl and frontends show who they are; nobody else gets in", async () => {
      const files = {
        viewer: await token("viewer"),
        operator: await token("operator"),
        frontend: await token("frontend"),
      };
      expect(statSync(join(directory, "tokens")).mode & 0o777).to.equal(0o600);
      const stored = readFileSync(join(directory, "tokens"), "utf8");
      for (const file of Object.values(files)) expect(stored).not.to.contain(readFileSync(file, "utf8"));
      const core = await ServerProcess.start(
        {
          controlListen: "tcp://0.0.0.0:0",
          control: {
            tls: { cert: certificate.certFile, key: certificate.keyFile },
            tokens: join(directory, "tokens"),
          },
        },
        ["--no-frontends"],
      );
      const address = core.controlAddress.replace("0.0.0.0", "127.0.0.1");
      const shown = (file: string) => ["--address", address, "--tls-ca", certificate.certFile, "--token-file", file];
      const allowed = await rrctl(["pools", ...shown(files.viewer)], directory);
      expect(allowed.code, allowed.out).to.equal(0);
      const byVariables = await rrctl(["reset", "http"], directory, {
        RRCTL_ADDRESS: address,
        RRCTL_TLS_CA: certificate.certFile,
        RRCTL_TOKEN_FILE: files.operator,
      });
      expect(byVariables.code, byVariables.out).to.equal(0);
      for (const [argv, code, said] of [
        [
          ["reset", "http", ...shown(files.viewer)],
          5,
          /needs the role operator.*hint: an admin makes a token of the role operator/s,
        ],
        [["stop", ...shown(files.operator)], 5, /Shutdown needs the role admin/],
        [
          ["pools", "--address", address, "--tls-ca", certificate.certFile],
          5,
          /show a token.*hint: .*`rrctl token create`/s,
        ],
        [["reset", "http", ...shown(files.frontend)], 5, /has the role frontend/],
      ] as const) {
        const ran = await rrctl(argv, directory);
        expect(ran.code, ran.out).to.equal(code);
        expect(ran.out).to.match(said);
      }
      // On the core's own machine its user needs none of that.
      const local = await rrctl(["pools"], core.directory);
      expect(local.code, local.out).to.equal(0);

      const credentials = ["--tls-ca", certificate.certFile, "--token-file", files.frontend];
      const frontend = await ServerProcess.startFrontend({ status: { address: "127.0.0.1:0" } }, [
        ...["--core", address],
        ...credentials,
      ]);
      await eventually("a request was served", async () => (await send(`${frontend.httpUrl}/pid`)).status === 200);
      expect((await send(`${frontend.address("status")}/ready`)).status).to.equal(200);
      await frontend.stop();

      const stranger = await ServerProcess.startFrontend({}, ["--core", address, "--tls-ca", certificate.certFile]);
      expect((await send(`${stranger.httpUrl}/pid`)).status).to.equal(503);
    });

    it("docs/security.md shows commands that work", async () => {
      const blocks = blocksOf("docs/security.md").filter(({ language }) => ["console", "sh"].includes(language));
      expect(blocks).to.have.length(2);
      const program = join(directory, "rrctl");
      writeFileSync(
        program,
        `#!/bin/sh\nexec ${(await rrctlCommand()).map((one) => JSON.stringify(one)).join(" ")} "$@"\n`,
        {
          mode: 0o755,
        },
      );
      const env = { PATH: `${directory}:${process.env.PATH}` };
      for (const part of blocks[0]!.text.replaceAll("/tmp/", `${directory}/`).split(/^\$ /m).slice(1)) {
        const [command, ...lines] = part.trimEnd().split("\n");
        const { out } = await run(["bash", "-c", command!], directory, env);
        expect(out.trimEnd().split("\n")).to.deep.equal(lines);
      }
      const alice = await token("admin");
      const core = await ServerProcess.start({
        control: { tls: { cert: certificate.certFile, key: certificate.keyFile }, tokens: join(directory, "tokens") },
      });
      const command = blocks[1]!.text
        .replace("core.example.com:6002", core.controlAddress)
        .replace("example.crt", certificate.certFile)
        .replace("alice.token", alice);
      const { code, out } = await run(["bash", "-c", command], directory, env);
      expect(code, out).to.equal(0);
    });
  });
});
