import { Deadline } from "../../src/async/deadline.ts";
import type { RrError } from "../../src/errors.ts";
import { EventLog, type EventType } from "../../src/events/event-log.ts";
import type { Call, CallOptions } from "../../src/pool/call.ts";
import { Pool } from "../../src/pool/pool.ts";
import { FakeWorkerProcesses } from "./fake-worker-processes.ts";
import { ManualClock } from "./manual-clock.ts";
import { type LogLine, memoryLog } from "./memory-log.ts";
import { type PoolOverrides, poolOptions } from "./pool-options.ts";

export interface FakeCall {
  readonly call: Call;
  /** In order: bodies of parts ("+" behind those that more follow), reasons of failures, "settled". */
  readonly told: string[];
}

/** A pool whose workers and time are those of the test. */
export class FakePool {
  readonly clock = new ManualClock();
  readonly processes = new FakeWorkerProcesses();
  readonly events = new EventLog(1_000, this.clock);
  readonly pool: Pool;
  readonly lines: LogLine[];

  constructor(overrides: PoolOverrides = {}) {
    const { log, lines } = memoryLog();
    this.lines = lines;
    this.pool = new Pool(poolOptions({ name: "test", ...overrides }), {
      clock: this.clock,
      log,
      events: this.events,
      baseEnv: {},
      openProcesses: this.processes.open,
    });
  }

  /** One that serves. */
  static async start(overrides: PoolOverrides = {}): Promise<FakePool> {
    const fake = new FakePool(overrides);
    await fake.pool.start();
    return fake;
  }

  /** Sends a body. `window`: parts that are taken before the sink asks to wait. */
  call(body: string, options: Partial<CallOptions> & { window?: number } = {}): FakeCall {
    const told: string[] = [];
    let parts = 0;
    const { window, ...rest } = options;
    const call = this.pool.dispatch(
      {
        request: { context: Buffer.alloc(0), body: Buffer.from(body), codec: 0 },
        idempotent: false,
        requestId: "",
        ...rest,
      },
      {
        reply: (part) => {
          told.push(`${part.body.toString("latin1")}${part.more ? "+" : ""}`);
          return ++parts !== window;
        },
        failed: ({ reason }) => told.push(reason),
        settled: () => told.push("settled"),
      },
    );
    return { call, told };
  }

  /** Everything that promises lead to has happened. */
  async settle(): Promise<void> {
    await this.clock.advanceAsync(0);
    await this.clock.advanceAsync(0);
  }

  get readyPids(): number[] {
    return this.pool.workers.filter(({ state, leaving }) => state === "ready" && leaving === "").map(({ pid }) => pid);
  }

  eventsOf(...types: EventType[]): string[] {
    return this.events
      .all()
      .filter(({ type }) => types.includes(type))
      .map(({ type }) => type);
  }

  /** Ends it, whatever it does. */
  async stop(): Promise<void> {
    const stopped = this.pool.stop(Deadline.after(1_000, this.clock));
    await this.clock.advanceAsync(10_000);
    await stopped;
  }
}

/** The reason that an operation was refused with; "done" if it was not. */
export function outcome(operation: Promise<unknown>): Promise<string> {
  return operation.then(
    () => "done",
    (error: RrError) => error.reason,
  );
}
