import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { createToken, tokenLine } from "../../src/access/token-file.ts";
import { type CoreClient, connectCore } from "../../src/client/core-client.ts";
import { RrError } from "../../src/errors.ts";
import { encodeFrame, FLAG } from "../../src/goridge/frame.ts";
import { makeCertificate, noOpenssl } from "../support/certificates.ts";
import { compiledRrctl } from "../support/compiled-server.ts";
import { eventually } from "../support/eventually.ts";
import { send } from "../support/http-load.ts";
import { needsPhp, phpFixture, skip } from "../support/php.ts";
import { freePort } from "../support/pool-options.ts";
import { ServerProcess, stopServers } from "../support/server-process.ts";

const MARK = "planted-7c2a";
/** What must not be seen, by where it was put. */
const PLANTED = {
  inTheFile: `${MARK}-file`,
  inAUrl: `${MARK}-url`,
  inTheEnvironment: `${MARK}-environment`,
  inAnotherVariable: `${MARK}-not-configured`,
  onTheCommandLine: `${MARK}-override`,
  inDotenv: `${MARK}-dotenv`,
  inTheWorkersCommand: `${MARK}-command`,
  inAHeader: `${MARK}-authorization`,
  inACookie: `${MARK}-cookie`,
  inAConfiguredHeader: `${MARK}-header`,
};

/** Secrets put into every place where users have them, and then looked for in everything that the product says. */
describe("Planted secrets", function () {
  this.timeout(60_000);
  let directory: string;
  let server: ServerProcess;
  let rpcPort: number;
  let token: string;
  let keyText: string;
  let client: CoreClient;

  before(async function () {
    needsPhp(this);
    const reason = noOpenssl();
    if (reason !== undefined) return skip(this, reason);
    directory = mkdtempSync(join(tmpdir(), "rr-test-secrets-"));
    writeFileSync(join(directory, ".env"), `OF_DOTENV_SECRET=${PLANTED.inDotenv}\n`);
    const certificate = makeCertificate(directory, "server");
    keyText = certificate.key.split("\n")[1]!;
    token = createToken();
    writeFileSync(join(directory, "tokens"), `${tokenLine("viewer", "viewer", token)}\n`, { mode: 0o600 });
    rpcPort = await freePort();
    server = await ServerProcess.start(
      {
        command: `php ${phpFixture("tells-secrets.php")} --api-key ${PLANTED.inTheWorkersCommand} $COMMAND_PART`,
        server: {
          env: {
            DB_PASSWORD: PLANTED.inTheFile,
            REDIS_URL: `redis://user:${PLANTED.inAUrl}@host`,
            PLAIN: "$ENVIRONMENT_VALUE",
            OF_DOTENV_SECRET: "$OF_DOTENV_SECRET",
          },
        },
        http: {
          access_logs: true,
          middleware: ["headers"],
          headers: { request: { "X-Api-Key": PLANTED.inAConfiguredHeader } },
          ssl: { address: "127.0.0.1:0", key: certificate.keyFile, cert: certificate.certFile },
        },
        pools: { failing: { command: `php ${phpFixture("tells-secrets.php")}`, num_workers: 1 } },
        status: { address: "127.0.0.1:0" },
        rpc: { listen: `tcp://127.0.0.1:${rpcPort}` },
        control: {
          tls: { cert: certificate.certFile, key: certificate.keyFile },
          tokens: join(directory, "tokens"),
        },
      },
      ["-o", `server.env.API_TOKEN=${PLANTED.onTheCommandLine}`, "--dotenv", join(directory, ".env")],
      [
        "env",
        `ENVIRONMENT_VALUE=${PLANTED.inTheEnvironment}`,
        `APP_KEY=${PLANTED.inAnotherVariable}`,
        `COMMAND_PART=${PLANTED.inTheEnvironment}`,
      ],
    );
    client = connectCore(socketAddress(), { caller: "a test, rrctl, pid 0" });
  });
  after(async () => {
    client?.close();
    await stopServers();
    if (directory) rmSync(directory, { recursive: true });
  });

  const expectNone = (what: string, output: string) => {
    for (const [where, secret] of Object.entries({ ...PLANTED, token, keyText }))
      expect(output.includes(secret), `${what} has the secret ${where}:\n${output.slice(0, 4000)}`).to.equal(false);
  };
  /** Beside the address with tokens there is the socket that rrctl finds. */
  const socketAddress = () => server.output.flatMap((line) => /^ {2}control +(unix:\S+)/.exec(line)?.[1] ?? [])[0]!;

  const rrctl = async (...argv: string[]): Promise<string> => {
    const child = spawn(process.execPath, [await compiledRrctl(), ...argv], {
      cwd: server.directory,
      env: { ...process.env, APP_KEY: PLANTED.inAnotherVariable, ENVIRONMENT_VALUE: PLANTED.inTheEnvironment },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let out = "";
    for (const stream of [child.stdout, child.stderr])
      stream.on("data", (chunk) => {
        out += chunk;
      });
    await once(child, "close");
    return out;
  };

  it("are in no answer to a request, whatever goes wrong", async () => {
    const headers = { authorization: `Bearer ${PLANTED.inAHeader}`, cookie: `session=${PLANTED.inACookie}` };
    for (const path of ["/", "/throw", "/exit", "/stray", "/"]) {
      const { body } = await send(`${server.httpUrl}${path}`, { headers }).catch(() => ({ body: "" }));
      expectNone(`the response to ${path}`, body);
    }
    await eventually("the worker that died was seen", async () => (await eventsText()).includes("worker.exited"));
  });

  const text = (value: unknown) =>
    JSON.stringify(value, (_key, part) => (typeof part === "bigint" ? String(part) : part));
  const eventsText = async () => text(await client.events.listEvents({}));

  it("are in no answer of the API", async () => {
    const answers = [
      await client.pools.listPools({}),
      await client.pools.getPool({ pool: "http" }),
      await client.workers.listWorkers({}),
      await client.server.getServerInfo({}),
      await client.server.getHealth({}),
      await client.stats.getStats({}),
      await client.events.listEvents({}),
      await client.config.getConfig({}),
      await client.config.validateConfig({
        text: `version: "3"\nserver: {command: "$APP_KEY"}\nhttp: {address: $APP_KEY}`,
      }),
      await client.health.list({}),
    ];
    for (const answer of answers) expectNone(answer.$typeName, text(answer));
    expect(text(answers[1])).to.contain("--api-key ***");
  });

  it("are in no error of the API", async () => {
    const outcomes = await Promise.allSettled([
      client.dispatch.dispatch({ pool: "http", payload: { context: Buffer.from("{"), body: Buffer.from("x") } }),
      client.pools.getPool({ pool: "no-such-pool" }),
      client.pools.scalePool({ pool: "http", workers: 100_000 }),
    ]);
    expect(outcomes.filter(({ status }) => status === "rejected")).to.have.length.above(1);
    for (const outcome of outcomes) {
      if (outcome.status === "fulfilled") continue;
      const { message, metadata, violations, stack } = RrError.from(outcome.reason);
      expectNone("an error", text([message, metadata, violations, stack]));
    }
  });

  for (const argv of [
    ["info"],
    ["pools"],
    ["workers"],
    ["stats"],
    ["events"],
    ["config", "show"],
    ["config", "show", "--all"],
    ["config", "show", "--file"],
    ["config", "validate"],
    ["pools", "-o", "json"],
    ["workers", "-o", "yaml"],
    ["events", "-o", "json"],
    ["config", "show", "-o", "json"],
    ["config", "show", "-o", "yaml"],
    ["config", "show", "--file", "-o", "yaml"],
    ["config", "show", "--file", "-o", "server.env.API_TOKEN=planted-7c2a-override"],
    [
      "config",
      "validate",
      "-o",
      "server.env.API_TOKEN=planted-7c2a-override",
      "-o",
      "nonsense.password=planted-7c2a-file",
    ],
  ])
    it(`are not in what rrctl ${argv.slice(0, 5).join(" ").slice(0, 60)} prints`, async () => {
      const out = await rrctl(...argv);
      expect(out.length).to.be.above(10);
      expectNone(argv.join(" "), out);
    });

  it("are shown to an admin who asks, which is an event", async () => {
    const out = await rrctl("config", "show", "--show-secrets");
    expect(out).to.contain(PLANTED.inTheFile).and.contain(PLANTED.inTheEnvironment);
    const { events } = await client.events.listEvents({ filter: { types: ["control.secrets_shown"] } });
    expect(events).to.have.length(1);
    expect(events[0]!.actor).to.contain("rrctl, pid");
  });

  it("are shown to nobody else", async () => {
    writeFileSync(join(directory, "viewer.token"), token);
    const address = server.controlAddress;
    const argv = [
      "config",
      "show",
      "--show-secrets",
      "--address",
      address,
      "--token-file",
      join(directory, "viewer.token"),
    ];
    const out = await rrctl(...argv, "--tls-ca", join(directory, "server.crt"));
    expect(out).to.contain('secrets are shown to admins, and token "viewer"');
    expectNone("the refusal", out);
  });

  it("are in no check of health, and in no answer of RPC for PHP", async () => {
    for (const path of ["/health", "/ready", "/live", "/startup", "/jobs"]) {
      const { body } = await send(`${server.address("status")}${path}`).catch(() => ({ body: "" }));
      expectNone(path, body);
    }
    for (const [method, argument] of [
      ["rpc.Config", true],
      ["informer.Workers", "http"],
      ["informer.List", true],
      ["status.Status", { plugin: "http" }],
      ["no.Such", `x`],
    ] as const) {
      const answer = await rpcCall(method, argument);
      expect(answer.length).to.be.above(method.length);
      expectNone(method, answer);
      const base64 = /"([A-Za-z0-9+/=]{40,})"/.exec(answer)?.[1];
      if (base64) expectNone(`${method}, decoded`, Buffer.from(base64, "base64").toString());
      if (method === "rpc.Config") expect(Buffer.from(base64!, "base64").toString()).to.contain('"DB_PASSWORD":"***"');
    }
  });

  function rpcCall(method: string, argument: unknown): Promise<string> {
    const socket = connect(rpcPort, "127.0.0.1");
    const name = Buffer.from(method);
    socket.write(encodeFrame(FLAG.JSON, 0, [1, name.length], name, Buffer.from(JSON.stringify(argument))));
    return new Promise((resolve) => {
      let answer = "";
      const timer = setTimeout(() => socket.destroy(), 1_000);
      socket.on("data", (chunk) => {
        answer += chunk.toString("latin1");
        clearTimeout(timer);
        setTimeout(() => socket.destroy(), 100);
      });
      socket.once("close", () => resolve(answer));
    });
  }

  it("are in no line of the log, at the level of debug", async () => {
    await eventually("the log has what PHP printed", () => server.output.some((line) => line.includes("request to /")));
    const log = server.output.join("\n");
    expect(log).to.contain("booted with ***");
    expectNone("the log", log);
  });

  it("are not in what a start that fails prints", async () => {
    const failing = await ServerProcess.launch({
      command: `php ${phpFixture("tells-secrets.php")} dies --token=${PLANTED.inTheWorkersCommand}`,
      server: { env: { DB_PASSWORD: PLANTED.inTheFile, REDIS_URL: `redis://user:${PLANTED.inAUrl}@host` } },
      pool: { num_workers: 1 },
      control: null,
    });
    expect((await failing.ended()).code).to.equal(1);
    const out = failing.output.join("\n");
    expect(out).to.contain("cannot connect with");
    for (const secret of [PLANTED.inTheFile, PLANTED.inAUrl]) expect(out).not.to.contain(secret);
  });

  it("are in none of the files that the server leaves lying about", async () => {
    expectNone("the note", readFileSync(socketAddress().replace(/^unix:\/\/(.*)\.sock$/, "$1.json"), "utf8"));
  });
});
