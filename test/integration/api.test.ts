import { execFile } from "node:child_process";
import { createRequire } from "node:module";
import { promisify } from "node:util";
import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { Client, credentials, type ServiceError, status } from "@grpc/grpc-js";
import { expect } from "chai";
import { createChannel, createClient } from "nice-grpc";
import { Health, HealthCheckResponse_ServingStatus as ServingStatus } from "../../gen/grpc/health/v1/health_pb.ts";
import { ServerReflection } from "../../gen/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection as ServerReflectionAlpha } from "../../gen/grpc/reflection/v1alpha/reflection_pb.ts";
import { Codec } from "../../gen/roadrunner/dispatch/v1/payload_pb.ts";
import { EventFilterSchema, Severity } from "../../gen/roadrunner/event/v1/event_service_pb.ts";
import { PoolState } from "../../gen/roadrunner/pool/v1/pool_pb.ts";
import { ServerState } from "../../gen/roadrunner/server/v1/server_service_pb.ts";
import { grpcTarget } from "../../src/client/core-client.ts";
import type { RrError } from "../../src/errors.ts";
import { serviceDefinition } from "../../src/grpc/service-definition.ts";
import { eventually } from "../support/eventually.ts";
import { needsPhp } from "../support/php.ts";
import { startCore, stopCores, type TestCore } from "../support/test-core.ts";

async function refusal(call: Promise<unknown>): Promise<RrError> {
  return call.then(
    () => {
      throw new Error("the call was expected to be refused");
    },
    (error: RrError) => error,
  );
}

const payload = (body: string) => ({ body: Buffer.from(body) });

describe("gRPC API", () => {
  let core: TestCore;
  let { client } = {} as TestCore;
  before(async function () {
    needsPhp(this, "posix");
    core = await startCore({ echo: { num_workers: 2 }, other: { num_workers: 1 } });
    ({ client } = core);
  });
  after(stopCores);

  const whole = (name = "echo") =>
    eventually("the pool was whole", async () => {
      const { pool } = await client.pools.getPool({ pool: name });
      return pool!.workersReady === pool!.workersWanted && pool!.workersBooting + pool!.workersStopping === 0;
    });

  describe("bad requests", () => {
    const table: [what: string, call: () => Promise<unknown>, reason: string, text: RegExp][] = [
      ["an unknown pool", () => client.pools.getPool({ pool: "htpp" }), "POOL_NOT_FOUND", /"htpp".*"echo", "other"/],
      [
        "no pool where there are two",
        () => client.pools.resetPool({}),
        "INVALID_REQUEST",
        /name one of "echo", "other"/,
      ],
      [
        "an unknown worker",
        () => client.workers.getWorker({ pid: 1 }),
        "WORKER_NOT_FOUND",
        /no worker 1; the workers are: \d+, \d+/,
      ],
      [
        "a worker of another pool",
        async () => {
          const { workers } = await client.workers.listWorkers({ pool: "other" });
          return client.workers.removeWorker({ pool: "echo", pid: workers[0]!.pid });
        },
        "INVALID_REQUEST",
        /belongs to pool "other"/,
      ],
      ["no workers at all", () => client.pools.scalePool({ pool: "echo", workers: 0 }), "INVALID_REQUEST", /paused/],
      ["too many workers", () => client.pools.scalePool({ pool: "echo", workers: 100_000 }), "INVALID_REQUEST", /\d/],
      [
        "a negative number of workers, as it looks on the wire",
        () => client.pools.scalePool({ pool: "echo", workers: 0xffff_ffff }),
        "INVALID_REQUEST",
        /\d/,
      ],
      ["a call without a payload", () => client.dispatch.dispatch({ pool: "echo" }), "INVALID_REQUEST", /payload/],
      ["an empty payload", () => client.dispatch.dispatch({ pool: "echo", payload: {} }), "INVALID_REQUEST", /empty/],
      ["a name that is too long", () => client.pools.getPool({ pool: "x".repeat(200) }), "INVALID_REQUEST", /128/],
      [
        "to remove the last worker",
        () => client.workers.removeWorker({ pool: "other" }),
        "FAILED_PRECONDITION",
        /only one worker/,
      ],
    ];
    for (const [what, call, reason, text] of table)
      it(`${what}: ${reason}`, async () => {
        const error = await refusal(call());
        expect(error.reason).to.equal(reason);
        expect([error.message, ...error.violations.map(({ description }) => description)].join(" ")).to.match(text);
        await whole();
      });

    it("a configuration that is handed in makes the server read nothing of its own", async () => {
      process.env.RR_TEST_PLANTED = "planted-93f1";
      const text = 'version: "3"\ninclude: [/etc/passwd, /dev/zero]\nhttp: {address: "$RR_TEST_PLANTED"}\n';
      const { problems } = await client.config.validateConfig({ text });
      delete process.env.RR_TEST_PLANTED;
      const said = problems.map(({ message }) => message).join("\n");
      expect(said).to.contain("/etc/passwd was not read").and.contain("/dev/zero was not read");
      expect(said).not.to.match(/planted-93f1|root:/);
    });

    it("bytes that are no message at all: INTERNAL, as gRPC wants it, and nothing else happens", async () => {
      const raw = new Client(grpcTarget(core.address), credentials.createInsecure());
      const asIs = (bytes: Buffer) => bytes;
      const error = await new Promise<ServiceError | null>((resolve) =>
        raw.makeUnaryRequest(
          "/roadrunner.pool.v1.PoolService/GetPool",
          asIs,
          asIs,
          Buffer.from("ffffffffff", "hex"),
          (thrown) => resolve(thrown),
        ),
      );
      raw.close();
      expect(error?.code).to.equal(status.INTERNAL);
      expect(error?.details).to.contain("deserializing");
      expect((await client.pools.listPools({})).pools).to.have.length(2);
    });

    it("name the field", async () => {
      const error = await refusal(client.pools.getPool({ pool: "x".repeat(200) }));
      expect(error.violations.map(({ field }) => field)).to.deep.equal(["pool"]);
      const scale = await refusal(client.pools.scalePool({ pool: "echo", workers: 0 }));
      expect(scale.violations.map(({ field }) => field)).to.deep.equal(["workers"]);
    });
  });

  describe("DispatchService.Dispatch", () => {
    it("runs a call and tells where and how long", async () => {
      const response = await client.dispatch.dispatch({
        pool: "echo",
        payload: { context: Buffer.from("c"), body: Buffer.from("echo hello"), codec: Codec.RAW },
      });
      expect(Buffer.from(response.payload!.body).toString()).to.equal("hello");
      const { workers } = await client.workers.listWorkers({ pool: "echo" });
      expect(workers.map(({ pid }) => pid)).to.include(response.pid);
      expect(response.execTime).to.not.equal(undefined);
    });

    it("joins the pieces of a stream", async () => {
      const { payload: reply } = await client.dispatch.dispatch({ pool: "echo", payload: payload("stream 12") });
      expect(Buffer.from(reply!.body).toString()).to.match(/^piece 1;.*piece 12;end$/);
    });

    it("fails with the reason of the worker", async () => {
      const error = await refusal(client.dispatch.dispatch({ pool: "echo", payload: payload("error too bad") }));
      expect([error.reason, error.message]).to.deep.equal(["WORKER_ERROR", "too bad"]);
      const exited = await refusal(client.dispatch.dispatch({ pool: "echo", payload: payload("exit-255") }));
      expect(exited.reason).to.equal("WORKER_EXITED");
      expect(exited.metadata).to.include({ pool: "echo", exit_code: "255" });
      await whole();
    });

    it("keeps the deadline of its caller", async () => {
      const signal = AbortSignal.timeout(150);
      const startedMs = performance.now();
      const call = client.dispatch.dispatch({ pool: "other", payload: payload("sleep 600") }, { signal });
      await call.then(
        () => expect.fail("it was expected to be given up"),
        () => {},
      );
      expect(performance.now() - startedMs).to.be.lessThan(500);
      await whole("other");
    });
  });

  describe("PoolService", () => {
    it("lists pools with what they did", async () => {
      const { pools } = await client.pools.listPools({});
      expect(pools.map(({ name }) => name)).to.deep.equal(["echo", "other"]);
      const [echo] = pools;
      expect(echo).to.include({ state: PoolState.SERVING, workersWanted: 2, relay: "pipes", debug: false });
      expect(echo!.executions > 0n).to.equal(true);
      expect(echo!.memoryBytes > 1_000_000n).to.equal(true);
    });

    it("scales, pauses to nothing, resumes, resets", async () => {
      await client.pools.scalePool({ pool: "echo", workers: 4 });
      expect((await client.workers.listWorkers({ pool: "echo" })).workers).to.have.length(4);
      await client.pools.pausePool({ pool: "echo" });
      expect((await refusal(client.dispatch.dispatch({ pool: "echo", payload: payload("echo") }))).reason).to.equal(
        "POOL_PAUSED",
      );
      await client.pools.scalePool({ pool: "echo", workers: 0 });
      await client.pools.resumePool({ pool: "echo" });
      await client.pools.scalePool({ pool: "echo", workers: 2 });
      await whole();
      const before = (await client.pools.getPool({ pool: "echo" })).pool!.generation;
      await client.pools.resetPool({ pool: "echo" });
      await whole();
      expect((await client.pools.getPool({ pool: "echo" })).pool!.generation).to.equal(before + 1);
    });

    it("shows changes to those who watch", async () => {
      const seen: number[] = [];
      const controller = new AbortController();
      const watch = client.pools.watchPools({ interval: durationFromMs(100) }, { signal: controller.signal });
      try {
        for await (const { pools } of watch) {
          seen.push(pools.find(({ name }) => name === "echo")!.workersWanted);
          if (seen.length === 1) await client.pools.scalePool({ pool: "echo", workers: 3 });
          if (seen.at(-1) === 3) break;
        }
      } finally {
        controller.abort();
      }
      expect([seen[0], seen.at(-1)]).to.deep.equal([2, 3]);
      await client.pools.scalePool({ pool: "echo", workers: 2 });
      await whole();
    });
  });

  describe("WorkerService", () => {
    it("adds, restarts, kills and removes", async () => {
      const pids = async () => (await client.workers.listWorkers({ pool: "echo" })).workers.map(({ pid }) => pid);
      await client.workers.addWorker({ pool: "echo" });
      const [first, second] = await pids();
      await client.workers.restartWorker({ pid: first! });
      await whole();
      expect(await pids()).to.not.include(first);
      await client.workers.killWorker({ pid: second! });
      await whole();
      expect(await pids())
        .to.have.length(3)
        .and.not.include(second);
      await client.workers.removeWorker({ pool: "echo" });
      await whole();
      expect(await pids()).to.have.length(2);
    });
  });

  describe("EventService", () => {
    it("lists what happened, filtered", async () => {
      const { events, revision } = await client.events.listEvents({
        filter: { pools: ["other"], types: ["pool.*"], minSeverity: Severity.INFO },
      });
      expect(events[0]).to.include({ type: "pool.started", pool: "other" });
      expect(revision >= events.at(-1)!.revision).to.equal(true);
      const { events: newest } = await client.events.listEvents({ limit: 2 });
      expect(newest).to.have.length(2);
      expect(newest[1]!.revision > newest[0]!.revision).to.equal(true);
    });

    it("watches from a revision on, and misses nothing in between", async () => {
      const { revision } = await client.events.listEvents({ limit: 1 });
      await client.pools.pausePool({ pool: "other" });
      const controller = new AbortController();
      const filter = create(EventFilterSchema, { pools: ["other"], types: ["pool.*"] });
      const watch = client.events.watchEvents({ filter, afterRevision: revision }, { signal: controller.signal });
      const types: string[] = [];
      try {
        for await (const { item } of watch) {
          if (item.case === "event") types.push(item.value.type);
          if (types.length === 1) await client.pools.resumePool({ pool: "other" });
          if (types.length === 2) break;
        }
      } finally {
        controller.abort();
      }
      expect(types).to.deep.equal(["pool.paused", "pool.resumed"]);
    });
  });

  describe("ServerService and StatsService", () => {
    it("tell what runs", async () => {
      const info = await client.server.getServerInfo({});
      expect(info.state).to.equal(ServerState.SERVING);
      expect(info.controlAddresses[0]).to.equal(core.address);
      expect(
        info.controlAddresses
          .slice(1)
          .map((address) => address.replace(/\/.*\//, ""))
          .join(),
      ).to.match(process.platform === "win32" ? /^$/ : /^unix:[0-9a-f]{16}\.sock$/);
      // As root there is one more.
      expect(info.warnings.join("\n")).to.contain("every user and program of this machine controls the server");
      expect(info.processes.map(({ pid }) => pid)).to.include(process.pid);
      const { stats } = await client.stats.getStats({});
      expect(stats!.pools.map(({ pool }) => pool!.name)).to.deep.equal(["echo", "other"]);
      expect(stats!.pools[0]!.execTime!.count > 0n).to.equal(true);
      expect(stats!.coreMemoryBytes > 10_000_000n).to.equal(true);
    });

    it("pass a shutdown on", async () => {
      await client.server.shutdown({ timeout: durationFromMs(1_500) });
      expect(core.shutdowns).to.deep.equal([1_500]);
    });
  });

  describe("standard services", () => {
    const channelTo = () => createChannel(grpcTarget(core.address));

    it("health of the server and of each pool", async () => {
      const channel = channelTo();
      try {
        const health = createClient(serviceDefinition(Health), channel);
        expect((await health.check({ service: "" })).status).to.equal(ServingStatus.SERVING);
        expect((await health.check({ service: "echo" })).status).to.equal(ServingStatus.SERVING);
        await client.pools.pausePool({ pool: "other" });
        expect((await health.check({ service: "other" })).status).to.equal(ServingStatus.NOT_SERVING);
        await client.pools.resumePool({ pool: "other" });
        const error = await refusal(health.check({ service: "nobody" }));
        expect(error.message).to.contain("NOT_FOUND");
      } finally {
        channel.close();
      }
    });

    for (const [version, service] of [
      ["v1", ServerReflection],
      ["v1alpha", ServerReflectionAlpha],
    ] as const)
      it(`reflection ${version} lists every service`, async () => {
        const channel = channelTo();
        try {
          const reflection = createClient(serviceDefinition(service as typeof ServerReflection), channel);
          const requests = (async function* () {
            yield { messageRequest: { case: "listServices" as const, value: "" } };
            yield {
              messageRequest: { case: "fileContainingSymbol" as const, value: "roadrunner.pool.v1.PoolService" },
            };
            yield { messageRequest: { case: "fileContainingSymbol" as const, value: "no.such.Symbol" } };
          })();
          const answers = [];
          for await (const { messageResponse } of reflection.serverReflectionInfo(requests))
            answers.push(messageResponse);
          const [list, file, missing] = answers;
          if (list?.case !== "listServicesResponse") throw new Error(`expected a list, got ${list?.case}`);
          expect(list.value.service.map(({ name }) => name)).to.include.members([
            "grpc.health.v1.Health",
            "roadrunner.dispatch.v1.DispatchService",
            "roadrunner.pool.v1.PoolService",
            "roadrunner.pool.v1.WorkerService",
            "roadrunner.server.v1.ServerService",
          ]);
          expect(file?.case).to.equal("fileDescriptorResponse");
          expect(missing?.case).to.equal("errorResponse");
        } finally {
          channel.close();
        }
      });

    it("answer buf curl, with nothing but reflection", async () => {
      const url = `http://${grpcTarget(core.address)}/roadrunner.pool.v1.PoolService/GetPool`;
      const buf = createRequire(import.meta.url).resolve("@bufbuild/buf/bin/buf");
      const args = [buf, "curl", "--protocol", "grpc", "--http2-prior-knowledge", "-d", '{"pool":"echo"}', url];
      const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 15_000 });
      expect(JSON.parse(stdout).pool).to.include({ name: "echo", state: "POOL_STATE_SERVING" });
    });
  });
});

describe("gRPC limits", () => {
  afterEach(stopCores);
  before(function () {
    needsPhp(this);
  });

  it("names the limit when a reply does not fit in one message", async () => {
    const { client } = await startCore({ echo: { num_workers: 1 } }, { max_message_size: "1MB" });
    const error = await refusal(client.dispatch.dispatch({ pool: "echo", payload: payload("large 2000") }));
    expect(error.reason).to.equal("PAYLOAD_TOO_LARGE");
    expect(error.message).to.contain("DispatchStream");
    const request = await refusal(
      client.dispatch.dispatch({ pool: "echo", payload: payload(`echo ${"x".repeat(2 << 20)}`) }),
    );
    expect(request.reason).to.equal("PAYLOAD_TOO_LARGE");
  });

  it("refuses new calls while it drains, and finishes running ones", async () => {
    const { client } = await startCore();
    const running = client.dispatch.dispatch({ pool: "echo", payload: payload("sleep 300") });
    await eventually("it ran", async () => (await client.pools.getPool({ pool: "echo" })).pool!.workersWorking === 1);
    const drained = client.server.drain({ timeout: durationFromMs(5_000) });
    const error = await eventually("calls were refused", () =>
      client.dispatch.dispatch({ pool: "echo", payload: payload("echo") }).then(
        () => undefined,
        (thrown: RrError) => thrown,
      ),
    );
    expect(error.reason).to.equal("DRAINING");
    expect(Buffer.from((await running).payload!.body).toString()).to.equal("slept");
    await drained;
  });
});
