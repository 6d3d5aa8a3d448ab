import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect as connectHttp2 } from "node:http2";
import { connect as connectTcp } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, type DescMessage, type DescMethod, type DescService, toBinary } from "@bufbuild/protobuf";
import {
  ChannelCredentials,
  Client,
  type ClientDuplexStream,
  Metadata,
  type ServiceError,
  status,
} from "@grpc/grpc-js";
import { expect } from "chai";
import { Health } from "../../gen/grpc/health/v1/health_pb.ts";
import { ServerReflection } from "../../gen/grpc/reflection/v1/reflection_pb.ts";
import { ConfigService } from "../../gen/roadrunner/config/v1/config_service_pb.ts";
import { DispatchService } from "../../gen/roadrunner/dispatch/v1/dispatch_service_pb.ts";
import { EventService } from "../../gen/roadrunner/event/v1/event_service_pb.ts";
import { WorkerState } from "../../gen/roadrunner/pool/v1/pool_pb.ts";
import { PoolService } from "../../gen/roadrunner/pool/v1/pool_service_pb.ts";
import { WorkerService } from "../../gen/roadrunner/pool/v1/worker_service_pb.ts";
import { ServerService } from "../../gen/roadrunner/server/v1/server_service_pb.ts";
import { StatsService } from "../../gen/roadrunner/stats/v1/stats_service_pb.ts";
import { ROLES, type Role } from "../../src/access/role.ts";
import { createToken, tokenLine } from "../../src/access/token-file.ts";
import { type CoreClient, connectCore } from "../../src/client/core-client.ts";
import { RrError } from "../../src/errors.ts";
import { type Certificate, makeCertificate, noOpenssl } from "../support/certificates.ts";
import { eventually } from "../support/eventually.ts";
import { needsPhp, skip } from "../support/php.ts";
import { startCore, stopCores, type TestCore } from "../support/test-core.ts";

const SERVICES = [
  ConfigService,
  DispatchService,
  EventService,
  PoolService,
  WorkerService,
  ServerService,
  StatsService,
  Health,
  ServerReflection,
] as unknown as readonly DescService[];

/** Who may call what, in words of this test: a change of the contract has to be made here, too. */
const LOOK: Role[] = ["viewer", "operator", "admin"];
const LOOK_AND_SERVE: Role[] = [...LOOK, "frontend"];
const STEER: Role[] = ["operator", "admin"];
const MAY: Readonly<Record<string, readonly Role[]>> = {
  "PoolService.ListPools": LOOK_AND_SERVE,
  "PoolService.GetPool": LOOK,
  "PoolService.WatchPools": LOOK,
  "PoolService.ScalePool": STEER,
  "PoolService.ResetPool": STEER,
  "PoolService.PausePool": STEER,
  "PoolService.ResumePool": STEER,
  "WorkerService.ListWorkers": LOOK,
  "WorkerService.GetWorker": LOOK,
  "WorkerService.AddWorker": STEER,
  "WorkerService.RemoveWorker": STEER,
  "WorkerService.RestartWorker": STEER,
  "WorkerService.KillWorker": STEER,
  "ServerService.GetServerInfo": LOOK_AND_SERVE,
  "ServerService.GetHealth": LOOK_AND_SERVE,
  "ServerService.Drain": STEER,
  "ServerService.Undrain": STEER,
  "ServerService.Shutdown": ["admin"],
  "StatsService.GetStats": LOOK,
  "StatsService.WatchStats": LOOK,
  "EventService.ListEvents": LOOK_AND_SERVE,
  "EventService.WatchEvents": LOOK_AND_SERVE,
  "ConfigService.GetConfig": LOOK,
  "ConfigService.ValidateConfig": STEER,
  "DispatchService.Dispatch": ["admin", "frontend"],
  "DispatchService.DispatchStream": ["admin", "frontend"],
  "Health.Check": LOOK_AND_SERVE,
  "Health.List": LOOK_AND_SERVE,
  "Health.Watch": LOOK_AND_SERVE,
  "ServerReflection.ServerReflectionInfo": LOOK_AND_SERVE,
};

const METHODS = SERVICES.flatMap((service) => service.methods.map((method) => ({ service, method })));

describe("Who may do what", function () {
  this.timeout(60_000);
  let directory: string;
  let server: Certificate;
  let authority: Certificate;
  let alice: Certificate;
  let core: TestCore;
  const tokens = Object.fromEntries(ROLES.map((role) => [role, createToken()])) as Record<Role, string>;
  const tokensFile = () => join(directory, "control.tokens");
  const writeTokens = (names: readonly Role[]) =>
    writeFileSync(tokensFile(), names.map((role) => `${tokenLine(`the-${role}`, role, tokens[role])}\n`).join(""), {
      mode: 0o600,
    });
  const clients: { close(): void }[] = [];
  const connect = (options: Parameters<typeof connectCore>[1]): CoreClient => {
    const client = connectCore(core.address, options);
    clients.push(client);
    return client;
  };
  const withToken = (token: string) => connect({ credentials: { token, tls: { ca: server.cert } } });

  before(async function () {
    needsPhp(this);
    const reason = noOpenssl();
    if (reason !== undefined) return skip(this, reason);
    directory = mkdtempSync(join(tmpdir(), "rr-test-access-"));
    server = makeCertificate(directory, "server");
    authority = makeCertificate(directory, "authority");
    alice = makeCertificate(directory, "alice", authority);
    writeTokens(ROLES);
    core = await startCore(
      { echo: { num_workers: 1 } },
      {
        listen: "tcp://0.0.0.0:0",
        tls: {
          cert: server.certFile,
          key: server.keyFile,
          client_ca: authority.certFile,
          roles: { alice: "operator" },
        },
        tokens: tokensFile(),
      },
    );
    core = { ...core, address: core.address.replace("0.0.0.0", "127.0.0.1") };
  });
  after(async () => {
    for (const client of clients) client.close();
    await stopCores();
    if (directory) rmSync(directory, { recursive: true });
  });

  /** Calls a method with nothing in it that could do any harm; settles with the status of the answer. */
  async function statusOf(method: DescMethod, service: DescService, token: string | undefined): Promise<status> {
    const target = core.address.replace("tcp://", "");
    const client = new Client(target, ChannelCredentials.createSsl(Buffer.from(server.cert)));
    const metadata = new Metadata();
    if (token !== undefined) metadata.set("authorization", `Bearer ${token}`);
    const path = `/${service.typeName}/${method.name}`;
    const asIs = (bytes: Buffer) => bytes;
    const request = Buffer.from(toBinary(method.input, harmless(method.input)));
    try {
      return await new Promise<status>((resolve) => {
        const done = (error: ServiceError | null) => resolve(error?.code ?? status.OK);
        if (method.methodKind === "unary")
          return void client.makeUnaryRequest(path, asIs, asIs, request, metadata, done);
        const call =
          method.methodKind === "server_streaming"
            ? client.makeServerStreamRequest(path, asIs, asIs, request, metadata)
            : client.makeBidiStreamRequest(path, asIs, asIs, metadata);
        call.once("error", done);
        // A stream of ours begins with its head, or with its first message.
        call.once("data", () => resolve(status.OK));
        call.once("metadata", (head: Metadata) => {
          if (head.get("rr-dispatch-stream").length > 0) resolve(status.OK);
        });
        if (method.methodKind === "bidi_streaming" && service === ServerReflection)
          (call as ClientDuplexStream<Buffer, Buffer>).end();
        call.once("end", () => resolve(status.OK));
      });
    } finally {
      client.close();
    }
  }

  const harmless = (input: DescMessage) =>
    create(input, {
      ...(input.field.pool && { pool: "no-such-pool" }),
      ...(input.field.pid && { pid: 1 }),
    } as never);

  it("is decided for every method", () => {
    expect(METHODS.map(({ service, method }) => `${service.name}.${method.name}`)).to.have.members(Object.keys(MAY));
  });

  for (const who of [...ROLES, "nobody", "a stranger"] as const)
    it(`${who}: what is refused, method by method`, async () => {
      const token = who === "nobody" ? undefined : who === "a stranger" ? createToken() : tokens[who];
      const refusedWith = who === "nobody" || who === "a stranger" ? status.UNAUTHENTICATED : status.PERMISSION_DENIED;
      for (const { service, method } of METHODS) {
        const name = `${service.name}.${method.name}`;
        const may = (MAY[name] as readonly string[]).includes(who);
        // These two would end the rest of this test; that they may be called is seen elsewhere.
        if (may && ["Drain", "Shutdown"].includes(method.name)) continue;
        const code = await statusOf(method, service, token);
        if (may) expect([status.UNAUTHENTICATED, status.PERMISSION_DENIED], name).not.to.include(code);
        else expect(code, name).to.equal(refusedWith);
      }
      expect(core.shutdowns).to.deep.equal([]);
    });

  const reasonOf = async (call: Promise<unknown>): Promise<RrError> => {
    const thrown = await call.then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(thrown).to.be.instanceOf(RrError);
    return thrown as RrError;
  };

  it("a refusal names the role, and never the token", async () => {
    const error = await reasonOf(withToken(tokens.viewer).pools.resetPool({ pool: "echo" }));
    expect(error.reason).to.equal("PERMISSION_DENIED");
    expect(error.message).to.match(
      /^ResetPool needs the role operator, and token "the-viewer" \(127\.0\.0\.1:\d+\) has the role viewer: /,
    );
    expect(error.metadata).to.include({ role: "viewer", role_needed: "operator" });
    const stranger = createToken();
    const unknown = await reasonOf(withToken(stranger).pools.listPools({}));
    const said = JSON.stringify([error, unknown, core.lines, unknown.message]);
    for (const token of [stranger, ...Object.values(tokens)]) expect(said).not.to.contain(token);
  });

  it("refusals are events and lines of the log, once a second at most", async () => {
    await new Promise((resolve) => setTimeout(resolve, 1_050));
    const viewer = withToken(tokens.viewer);
    const before = core.lines.length;
    for (let tries = 0; tries < 20; tries++) await reasonOf(viewer.pools.pausePool({ pool: "echo" }));
    const { events } = await viewer.events.listEvents({ filter: { types: ["control.refused"] } });
    const last = events.at(-1)!;
    expect(last.actor).to.match(/^token "the-viewer" \(127\.0\.0\.1:\d+\)$/);
    expect(last.reason).to.equal("PERMISSION_DENIED");
    expect(last.attributes.method).to.equal("/roadrunner.pool.v1.PoolService/PausePool");
    const told = core.lines.slice(before).filter(({ fields }) => fields.event === "control.refused");
    expect(told.length).to.be.within(1, 3);
  });

  it("who did what stands in every event of a change, and in the log", async () => {
    const operator = withToken(tokens.operator);
    const from = (await operator.events.listEvents({})).revision;
    const pool = "echo";
    const anyWorker = async () => {
      const { workers } = await operator.workers.listWorkers({ pool });
      return workers.find(({ state, stateReason }) => state === WorkerState.READY && stateReason === "")!;
    };
    await operator.pools.scalePool({ pool, workers: 2 });
    await operator.pools.resetPool({ pool });
    await operator.pools.pausePool({ pool });
    await operator.pools.resumePool({ pool });
    await operator.workers.addWorker({ pool });
    await operator.workers.removeWorker({ pool });
    await operator.workers.restartWorker({ pid: (await anyWorker()).pid });
    await operator.workers.killWorker({ pid: (await anyWorker()).pid });
    await operator.pools.scalePool({ pool, workers: 1 });
    const events = await eventually("the killed worker was seen to be gone", async () => {
      const listed = (await operator.events.listEvents({ afterRevision: from })).events;
      return listed.some(({ type }) => type === "worker.killed") && listed;
    });
    const changes = events.filter(({ actor }) => actor !== "");
    expect(changes.map(({ type }) => type)).to.deep.equal([
      "pool.scaled",
      "pool.reset",
      "pool.paused",
      "pool.resumed",
      "pool.scaled",
      "pool.scaled",
      "worker.restarted",
      ...changes.slice(7).map(({ type }) => type),
    ]);
    expect(changes.slice(7).map(({ type }) => type)).to.have.members(["worker.killed", "pool.scaled"]);
    for (const { actor, type } of changes) expect(actor, type).to.match(/^token "the-operator" \(127\.0\.0\.1:\d+\)$/);
    for (const { type, actor } of events)
      if (/^pool\.(scaled|reset|paused|resumed)/.test(type)) expect(actor, type).not.to.equal("");
    const logged = core.lines.filter(({ fields }) => String(fields.actor).startsWith('token "the-operator"'));
    expect(logged.length).to.be.at.least(7);
  });

  it("a worker can be named so that no other one is meant, whatever process id it gets", async () => {
    const operator = withToken(tokens.operator);
    const { pid, uid } = await eventually("a worker was ready and to stay", async () => {
      const { pool } = await operator.pools.getPool({ pool: "echo" });
      const { workers } = await operator.workers.listWorkers({ pool: "echo" });
      const isWhole = pool!.workersReady === pool!.workersWanted && pool!.workersBooting + pool!.workersStopping === 0;
      const [worker] = workers;
      const stays = worker?.state === WorkerState.READY && worker.stateReason === "";
      return isWhole && workers.length === 1 && stays && worker;
    });
    expect(uid).to.match(/^[0-9a-f]{8}-\d+$/);
    for (const call of ["killWorker", "restartWorker", "removeWorker"] as const) {
      const error = await reasonOf(operator.workers[call]({ pid, uid: "0badcafe-1" }));
      expect(error.reason, call).to.equal("WORKER_NOT_FOUND");
      expect(error.message).to.contain(`process id ${pid} belongs to another worker now (${uid})`);
    }
    expect((await operator.workers.getWorker({ pid })).worker!.uid).to.equal(uid);
    await operator.workers.restartWorker({ pid, uid });
  });

  it("a token that is taken out is worthless at once, and a new one is good", async () => {
    const operator = withToken(tokens.operator);
    await operator.pools.getPool({ pool: "echo" });
    writeTokens(["viewer", "admin", "frontend"]);
    expect((await reasonOf(operator.pools.getPool({ pool: "echo" }))).reason).to.equal("UNAUTHENTICATED");
    writeTokens(ROLES);
    await operator.pools.getPool({ pool: "echo" });
  });

  it("a certificate of the authority is an identity, by its name", async () => {
    const { cert, key } = alice;
    const client = connect({ credentials: { tls: { ca: server.cert, cert, key } } });
    await client.pools.resetPool({ pool: "echo" });
    const error = await reasonOf(client.server.shutdown({}));
    expect(error.message).to.match(
      /^Shutdown needs the role admin, and certificate "alice" \(.*\) has the role operator/,
    );
  });

  it("a certificate of anybody else, or of another name, is none", async () => {
    const forged = makeCertificate(join(directory, "forged"), "alice");
    const other = makeCertificate(directory, "bob", authority);
    for (const [{ cert, key }, reason] of [
      [forged, "UNAUTHENTICATED"],
      [other, "PERMISSION_DENIED"],
    ] as const) {
      const client = connect({ credentials: { tls: { ca: server.cert, cert, key } } });
      expect((await reasonOf(client.pools.listPools({}))).reason).to.equal(reason);
    }
  });

  it("a name of a certificate that the caller writes himself is no certificate", async () => {
    const client = new Client(
      core.address.replace("tcp://", ""),
      ChannelCredentials.createSsl(Buffer.from(server.cert)),
    );
    const metadata = new Metadata();
    metadata.set("rr-peer-certificate", "alice");
    const asIs = (bytes: Buffer) => bytes;
    const error = await new Promise<ServiceError | null>((resolve) =>
      client.makeUnaryRequest(
        "/roadrunner.pool.v1.PoolService/ListPools",
        asIs,
        asIs,
        Buffer.alloc(0),
        metadata,
        resolve,
      ),
    );
    client.close();
    expect(error?.code).to.equal(status.UNAUTHENTICATED);
  });

  it("without encryption nobody gets in", async () => {
    const client = connect({});
    const call = client.pools.listPools({}, { signal: AbortSignal.timeout(5_000) });
    expect((await reasonOf(call)).reason).to.be.oneOf(["UNAVAILABLE", "CANCELLED", "DEADLINE_EXCEEDED"]);
  });

  it("a client sends its token nowhere unencrypted but to its own machine", () => {
    expect(() => connectCore("tcp://10.0.0.5:1", { credentials: { token: "x" } })).to.throw(/unencrypted.*--tls-ca/);
    expect(() => connectCore("core.example:1", { credentials: { token: "x" } })).to.throw(/unencrypted/);
    connectCore("tcp://127.0.0.1:1", { credentials: { token: "x" } }).close();
  });

  it("a certificate of the server that is replaced is loaded again", async () => {
    const next = makeCertificate(join(directory, "next"), "server");
    writeFileSync(server.keyFile, next.key);
    writeFileSync(server.certFile, next.cert);
    await eventually(
      "the new certificate was shown",
      async () => {
        const client = connectCore(core.address, { credentials: { token: tokens.viewer, tls: { ca: next.cert } } });
        try {
          return await client.pools.listPools({}).then(
            () => true,
            () => false,
          );
        } finally {
          client.close();
        }
      },
      15_000,
    );
    expect(readFileSync(server.certFile, "utf8")).to.equal(next.cert);
  });

  it("frontends see events of reloads alone", async () => {
    const ca = readFileSync(server.certFile, "utf8");
    const eventsOf = async (role: Role) => {
      const { events } = await connect({ credentials: { token: tokens[role], tls: { ca } } }).events.listEvents({});
      return events.map(({ type }) => type);
    };
    expect(await eventsOf("viewer")).to.include("pool.started");
    expect((await eventsOf("frontend")).filter((type) => !type.startsWith("reload."))).to.deep.equal([]);
  });

  describe("from a web page", () => {
    let open: TestCore;
    let port: number;
    before(async () => {
      open = await startCore();
      port = Number(new URL(open.address.replace("tcp:", "http:")).port);
    });

    it("HTTP/1.1 gets no answer that a page could read", async () => {
      for (const head of [
        "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: http://evil.example\r\n\r\n",
        "POST /roadrunner.pool.v1.PoolService/ListPools HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/grpc\r\nContent-Length: 5\r\n\r\n\0\0\0\0\0",
        "OPTIONS / HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: http://evil.example\r\nAccess-Control-Request-Method: POST\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
      ]) {
        const answer = await new Promise<string>((resolve) => {
          let text = "";
          const socket = connectTcp(port, "127.0.0.1", () => socket.write(head));
          socket.on("data", (chunk) => {
            text += chunk.toString("latin1");
          });
          socket.on("error", () => {});
          socket.once("close", () => resolve(text));
        });
        expect(answer).not.to.match(/^HTTP\/1\.1 [12]/);
        expect(answer.toLowerCase()).not.to.contain("access-control");
      }
    });

    const overHttp2 = (headers: Record<string, string>) =>
      new Promise<Record<string, unknown>>((resolve, reject) => {
        const session = connectHttp2(`http://127.0.0.1:${port}`);
        const path = "/roadrunner.pool.v1.PoolService/ListPools";
        const stream = session.request({
          ":method": "POST",
          ":path": path,
          "content-type": "application/grpc",
          ...headers,
        });
        let all: Record<string, unknown> = {};
        stream.on("response", (head) => {
          all = { ...all, ...head };
        });
        stream.on("trailers", (head) => {
          all = { ...all, ...head };
        });
        stream.on("error", reject);
        stream.once("close", () => {
          session.close();
          resolve(all);
        });
        stream.resume();
        stream.end(Buffer.alloc(5));
      });

    it("HTTP/2 with an origin is refused, whatever the page is", async () => {
      expect(await overHttp2({})).to.include({ "grpc-status": "0" });
      for (const origin of ["http://evil.example", "null", "http://127.0.0.1", "chrome-extension://x"]) {
        const answer = await overHttp2({ origin });
        expect(answer, origin).to.include({ "grpc-status": "7" });
        expect(Object.keys(answer).join()).not.to.contain("access-control");
      }
    });

    it("a preflight is not answered, and other forms of a body are not taken", async () => {
      expect(await overHttp2({ ":method": "OPTIONS", origin: "http://evil.example" })).not.to.include({
        ":status": 204,
      });
      for (const type of ["text/plain", "application/json", "application/x-www-form-urlencoded", "multipart/form-data"])
        expect(await overHttp2({ "content-type": type }), type).to.include({ ":status": 415 });
    });
  });

  it("does not start with a file of tokens that others may write", async function () {
    if (process.platform === "win32") return this.skip();
    const file = join(directory, "open.tokens");
    writeFileSync(file, "");
    chmodSync(file, 0o666);
    const error = await reasonOf(startCore({ echo: { num_workers: 1 } }, { tokens: file }));
    expect(error.reason).to.equal("CONFIG_INVALID");
    expect(error.message).to.contain("open.tokens may be used by others (its mode is 0666)");
  });
});
