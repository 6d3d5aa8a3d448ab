import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { Deadline } from "../../src/async/deadline.ts";
import { systemClock } from "../../src/clock.ts";
import type { PoolOptions } from "../../src/config/options.ts";
import type { RrError } from "../../src/errors.ts";
import { EventLog, type EventType, type RecordedEvent } from "../../src/events/event-log.ts";
import type { Call } from "../../src/pool/call.ts";
import { Pool } from "../../src/pool/pool.ts";
import { eventually, within } from "./eventually.ts";
import { type LogLine, memoryLog } from "./memory-log.ts";
import { freshRelay, type PoolOverrides, poolOptions } from "./pool-options.ts";

export interface Reply {
  readonly context: string;
  readonly body: string;
  readonly codec: number;
  readonly pid: number;
  /** Bodies of the parts as they came. */
  readonly parts: readonly string[];
}

export interface CallSettings {
  context?: string;
  idempotent?: boolean;
  requestId?: string;
  attemptsMax?: number;
  /** Parts of the reply that are taken before the sink asks to wait; `call.resume` goes on. */
  partsBeforePause?: number;
}

/** A call under way. */
export interface OpenCall {
  readonly call: Call;
  /** Bodies of the parts that have come. */
  readonly parts: readonly string[];
  /** Rejects with the RrError of the call. */
  readonly reply: Promise<Reply>;
}

const CALL_LIMIT_MS = 10_000;

/** A pool of real PHP workers with everything that it says about itself. */
export class TestPool {
  readonly pool: Pool;
  readonly events = new EventLog(1_000);
  readonly lines: LogLine[];
  readonly directory = mkdtempSync(join(tmpdir(), "rr-test-pool-"));
  #files = 0;
  readonly #disposeRelay: () => void;

  constructor(options: PoolOptions, disposeRelay: () => void = () => {}) {
    const { log, lines } = memoryLog();
    this.lines = lines;
    this.#disposeRelay = disposeRelay;
    this.pool = new Pool(options, { clock: systemClock, log, events: this.events, baseEnv: process.env });
  }

  /** Sends a body; "<act> <argument>" for the worker.php of the fixtures. */
  open(body: string, settings: CallSettings = {}): OpenCall {
    const parts: string[] = [];
    let call: Call;
    let head: { context: string; codec: number } | undefined;
    const reply = new Promise<Reply>((resolve, reject) => {
      call = this.pool.dispatch(
        {
          request: { context: Buffer.from(settings.context ?? ""), body: Buffer.from(body), codec: 0 },
          idempotent: settings.idempotent ?? false,
          requestId: settings.requestId ?? "",
          attemptsMax: settings.attemptsMax ?? 0,
        },
        {
          reply: (part, pid) => {
            head ??= { context: part.context.toString(), codec: part.codec };
            parts.push(part.body.toString("latin1"));
            if (!part.more) resolve({ ...head, body: parts.join(""), pid, parts });
            return parts.length !== settings.partsBeforePause;
          },
          failed: reject,
        },
      );
    });
    // Who opens a call may look at its error later, or never.
    reply.catch(() => {});
    return { call: call!, parts, reply };
  }

  /** The reply of a call. */
  call(body: string, settings: CallSettings = {}): Promise<Reply> {
    return within(CALL_LIMIT_MS, `the call "${body}" ended`, this.open(body, settings).reply);
  }

  /** The error of a call that must fail. */
  async failure(body: string, settings: CallSettings = {}): Promise<RrError> {
    const outcome = await this.call(body, settings).then(
      ({ body: answer }) => ({ answer }),
      (error: RrError) => ({ error }),
    );
    if ("error" in outcome) return outcome.error;
    throw new Error(`the call "${body}" was answered with "${outcome.answer}" but was expected to fail`);
  }

  /** A call that occupies a worker from when this resolves until `release`. */
  async hold(settings: CallSettings = {}): Promise<OpenCall & { pid: number; release: () => void }> {
    const file = join(this.directory, `hold-${++this.#files}`);
    const open = this.open(`hold ${file}`, settings);
    const held = await eventually("a worker took the call", () =>
      readdirSync(dirname(file)).find((name) => name.startsWith(`${basename(file)}.`)),
    );
    return { ...open, pid: Number(held.split(".").at(-1)), release: () => writeFileSync(file, "") };
  }

  /** An empty file for the acts that look for one. */
  file(): string {
    const path = join(this.directory, `file-${++this.#files}`);
    writeFileSync(path, "");
    return path;
  }

  get pids(): number[] {
    return this.pool.workers.map(({ pid }) => pid);
  }

  /** Pids of workers that are there to stay and wait for a call. */
  get readyPids(): number[] {
    return this.pool.workers.filter((one) => one.state === "ready" && one.leaving === "").map(({ pid }) => pid);
  }

  /** As many workers as wanted, all ready, none on its way. */
  whole(workers = this.pool.workersWanted): Promise<unknown> {
    return eventually(`the pool had ${workers} ready workers again`, () => {
      const { pool } = this;
      return pool.workersBooting === 0 && pool.workers.length === workers && this.readyPids.length === workers;
    });
  }

  eventsOf(...types: EventType[]): RecordedEvent[] {
    return this.events.all().filter(({ type }) => types.includes(type));
  }

  event(type: EventType, matches: (event: RecordedEvent) => boolean = () => true): Promise<RecordedEvent> {
    return eventually(`the event ${type} was recorded`, () => this.eventsOf(type).find(matches));
  }

  line(text: string | RegExp): LogLine | undefined {
    return this.lines.find(({ message }) => (typeof text === "string" ? message.includes(text) : text.test(message)));
  }

  async stop(): Promise<void> {
    await this.pool.stop(Deadline.after(1_000));
    this.#disposeRelay();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

const open: TestPool[] = [];

/** A pool that serves. `stopPools` ends it. */
export async function startPool(overrides: PoolOverrides = {}): Promise<TestPool> {
  const pool = preparePool(overrides);
  await pool.pool.start();
  return pool;
}

/** A pool that was not started. `stopPools` ends it. */
export function preparePool(overrides: PoolOverrides = {}): TestPool {
  const pool = new TestPool(poolOptions(overrides));
  open.push(pool);
  return pool;
}

/** A pool on a relay of its own. */
export async function startPoolOn(kind: "pipes" | "unix" | "tcp", overrides: PoolOverrides = {}): Promise<TestPool> {
  const { relay, dispose } = await freshRelay(kind);
  const pool = new TestPool(poolOptions({ ...overrides, relay }), dispose);
  open.push(pool);
  await pool.pool.start();
  return pool;
}

/** For `afterEach`. */
export async function stopPools(): Promise<void> {
  await Promise.all(open.splice(0).map((pool) => pool.stop()));
}

/** Whether a process runs. One that ended but whose status nobody asked for does not. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return process.platform !== "linux" || !/^\d+ \(.*\) Z/s.test(readFileSync(`/proc/${pid}/stat`, "latin1"));
  } catch {
    return false;
  }
}
