import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { expect } from "chai";
import { messageData } from "../../../cli/message-data.ts";
import { plain } from "../../../cli/output/colour.ts";
import { eventLine } from "../../../cli/views/events.ts";
import { poolSentence, poolsView } from "../../../cli/views/pools.ts";
import { statsView } from "../../../cli/views/stats.ts";
import { workersView } from "../../../cli/views/workers.ts";
import { EventSchema, Severity } from "../../../gen/roadrunner/event/v1/event_service_pb.ts";
import { PoolSchema, PoolState, WorkerSchema, WorkerState } from "../../../gen/roadrunner/pool/v1/pool_pb.ts";
import { ResetPoolResponseSchema } from "../../../gen/roadrunner/pool/v1/pool_service_pb.ts";
import { ListWorkersResponseSchema } from "../../../gen/roadrunner/pool/v1/worker_service_pb.ts";
import { StatsSchema } from "../../../gen/roadrunner/stats/v1/stats_service_pb.ts";

const nowMs = new Date(2026, 2, 1, 14, 3, 12, 0).getTime();
const page = { paint: plain, columns: undefined, nowMs };
const duration = (ms: number) => ({ seconds: BigInt(Math.floor(ms / 1000)), nanos: Math.round((ms % 1000) * 1e6) });

describe("cli views", () => {
  const idle = create(WorkerSchema, {
    pid: 4711,
    pool: "http",
    state: WorkerState.READY,
    executions: 12345n,
    executionsMax: 20000n,
    memoryBytes: 29_100_000n,
    cpuPercent: 0.04,
    createTime: timestampFromMs(nowMs - 5_000),
  });
  const busy = create(WorkerSchema, {
    pid: 9,
    pool: "jobs",
    state: WorkerState.WORKING,
    cpuPercent: 99.96,
    createTime: timestampFromMs(nowMs - 7_200_000),
    requestId: "r-17",
    requestStartTime: timestampFromMs(nowMs - 1_500),
  });

  it("shows workers with what they run", () => {
    expect(workersView([idle, busy], page)).to.equal(
      [
        "POOL   PID  STATUS           EXECS  MEMORY   CPU%  CREATED        RUNNING",
        "http  4711  ready    12,345/20,000   29 MB    0.0  5 seconds ago",
        "jobs     9  working              0       -  100.0  2 hours ago    r-17 for 1.5 s",
        "",
      ].join("\n"),
    );
  });

  it("says why a worker is leaving", () => {
    const leaving = create(WorkerSchema, {
      pid: 1,
      pool: "http",
      state: WorkerState.STOPPING,
      stateReason: "max_jobs",
    });
    expect(workersView([leaving], page)).to.contain("stopping (max_jobs)");
  });

  it("shows a state that this version does not know as its number", () => {
    const future = create(WorkerSchema, { pid: 1, state: 99 as WorkerState });
    expect(workersView([future], page)).to.contain("99");
  });

  const pool = create(PoolSchema, {
    name: "http",
    state: PoolState.FAILING,
    stateReason: "exit code 255: PHP Parse error",
    generation: 3,
    workersWanted: 4,
    workersReady: 3,
    workersWorking: 1,
    workersBooting: 1,
    queueLength: 2,
    queueLengthMax: 100,
    command: "php worker.php",
    executions: 1_000_000n,
    failures: { EXEC_TIMEOUT: 2n, WORKER_EXITED: 1n },
    memoryBytes: 120_000_000n,
  });

  it("shows pools, and below them why one is not well", () => {
    expect(poolsView([pool], page)).to.equal(
      [
        "POOL  STATUS   WORKERS  READY  WORKING  QUEUE      EXECS  FAILED  MEMORY  GENERATION  COMMAND",
        "http  failing        4      3        1  2/100  1,000,000       3  120 MB           3  php worker.php",
        "",
        "http: exit code 255: PHP Parse error",
        "",
      ].join("\n"),
    );
  });

  it("says in a sentence what became of a pool", () => {
    expect(poolSentence(pool, page)).to.equal("http: failing, 4 workers (3 ready, 1 working, 1 booting)\n");
  });

  it("shows an event in a line, whatever is in it", () => {
    const event = create(EventSchema, {
      revision: 7n,
      time: timestampFromMs(nowMs - 1000),
      type: "worker.exited",
      severity: Severity.WARNING,
      pool: "http",
      pid: 4711,
      reason: "max_jobs",
      message: "worker ended\nwith two lines",
      attributes: { exit_code: "0", text: 'a "b"' },
    });
    expect(eventLine(event, page)).to.equal(
      '14:03:11.000  worker.exited     http pid 4711   worker ended with two lines  reason=max_jobs exit_code=0 text="a \\"b\\""\n',
    );
  });

  it("shows figures with reasons below, and no duration where nothing was measured", () => {
    const stats = create(StatsSchema, {
      uptime: duration(80_000),
      coreMemoryBytes: 80_000_000n,
      pools: [
        { pool, execTime: { count: 5n, p50: duration(1.25), p99: duration(20), max: duration(2_300) } },
        { pool: create(PoolSchema, { name: "idle", state: PoolState.SERVING }), execTime: { count: 0n } },
      ],
    });
    const text = statsView(stats, page);
    expect(text).to.contain("up                1m 20s\n").and.contain("core memory       80 MB\n");
    const [http, idlePool] = text.split("\n").filter((line) => /^(http|idle) /.test(line));
    expect(http!.split(/ {2,}/)).to.deep.equal([
      "http",
      "failing",
      "1,000,000",
      "3",
      "0",
      "1.25 ms",
      "20 ms",
      "2.3 s",
      "-",
      "-",
      "-",
    ]);
    expect(idlePool).to.match(/serving +0 +0 +0 +- +- +- +- +- +-$/);
    expect(text).to.contain("http: failed calls: 2 EXEC_TIMEOUT, 1 WORKER_EXITED\n");
  });

  it("gives programs every field by its name in the contract", () => {
    const response = create(ListWorkersResponseSchema, { workers: [idle] });
    const { workers } = messageData(ListWorkersResponseSchema, response) as { workers: Record<string, unknown>[] };
    expect(workers[0]).to.deep.include({
      pid: 4711,
      pool: "http",
      state: "ready",
      state_reason: "",
      executions: 12345,
      memory_bytes: 29100000,
      request_id: "",
    });
    expect(Object.keys(workers[0]!)).to.not.include("request_start_time");
    expect(workers[0]!.create_time).to.equal(new Date(nowMs - 5_000).toISOString());
  });

  it("gives programs durations as seconds, states as words, and counts by name as numbers", () => {
    const event = messageData(EventSchema, create(EventSchema, { severity: Severity.WARNING, revision: 7n }));
    expect(event).to.include({ severity: "warning", revision: 7 });
    const odd = messageData(WorkerSchema, create(WorkerSchema, { state: 99 as WorkerState }));
    expect(odd.state).to.equal(99);
    const stats = messageData(
      ResetPoolResponseSchema,
      create(ResetPoolResponseSchema, { bootTime: duration(1_250), pool: { name: "http", state: PoolState.SERVING } }),
    );
    expect(stats.boot_time_seconds).to.equal(1.25);
    expect(stats.pool).to.include({ name: "http", state: "serving", memory_bytes: 0 });
    const figures = create(StatsSchema, { pools: [{ pool: { name: "http", failures: { EXEC_TIMEOUT: 2n } } }] });
    expect(messageData(StatsSchema, figures).pools).to.have.nested.property("[0].pool.failures.EXEC_TIMEOUT", 2);
  });
});
