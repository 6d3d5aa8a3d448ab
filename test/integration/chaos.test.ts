import { expect } from "chai";
import type { RrError } from "../../src/errors.ts";
import { eventually } from "../support/eventually.ts";
import { needsPhp } from "../support/php.ts";
import { startPoolOn, stopPools } from "../support/test-pool.ts";

/** A small generator of numbers in [0, 1) that a seed repeats. */
function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) >>> 0;
    return ((state ^ (state >>> 12)) >>> 0) / 2 ** 32;
  };
}

/**
 * What a call may ask for, and what it may get: its own answer, or one of these failures. Workers that answer more than
 * they were asked are left out: nothing in the protocol tells a late surplus answer from the answer to the next call.
 */
const ACTS: readonly [body: (id: string) => string, answer: (id: string) => RegExp, failures: readonly string[]][] = [
  [(id) => `echo ${id}`, (id) => new RegExp(`^${id}$`), []],
  [(id) => `echo ${id}`, (id) => new RegExp(`^${id}$`), []],
  [() => "pid", () => /^\d+$/, []],
  [() => "print", () => /^answered$/, []],
  [() => "write-stdout", () => /^answered$/, []],
  [() => "sleep 3", () => /^slept$/, []],
  [() => "stream 13", () => /^piece 1;.*piece 13;end$/, []],
  [() => "large 300", () => /^.{307200}$/, []],
  [(id) => `error ${id}`, () => /^never$/, ["WORKER_ERROR"]],
  [() => "exit-0", () => /^never$/, ["WORKER_EXITED"]],
  [() => "sigkill", () => /^never$/, ["WORKER_EXITED"]],
  [() => "half-frame", () => /^never$/, ["WORKER_EXITED"]],
];

const CALLS = 200;
const LANES = 12;

/** Whatever happens in whatever order: each call ends once, with its own answer, and the pool is whole afterwards. */
for (const kind of ["pipes", "unix"] as const)
  describe(`Chaos on ${kind}`, function () {
    this.timeout(60_000);
    before(function () {
      needsPhp(this, "posix", "sockets");
    });
    afterEach(stopPools);

    it("mixes no answers up, loses no call and no worker", async () => {
      const seed = Math.floor(Math.random() * 2 ** 32);
      const random = randomOf(seed);
      const pick = <Item>(items: readonly Item[]): Item => items[Math.floor(random() * items.length)]!;
      const pool = await startPoolOn(kind, {
        numWorkers: 4,
        maxJobs: 20,
        streamTimeoutMs: 1_000,
        supervisor: { execTtlMs: 5_000, ttlMs: 700 },
      });
      const problems: string[] = [];
      const counts = { answered: 0, failed: 0, cancelled: 0 };
      /** Workers die and are killed by others while a call runs; those that must not be repeated fail then. */
      const accidents = ["WORKER_EXITED"];

      const oneCall = async (at: number) => {
        const [body, answer, failures] = pick(ACTS);
        const id = `call-${at}`;
        const pauses = random() < 0.2;
        const cancelsAfterMs = random() < 0.15 ? random() * 8 : undefined;
        let ends = 0;
        const { call, reply } = pool.open(body(id), {
          idempotent: random() < 0.5,
          ...(pauses && { partsBeforePause: 2 }),
        });
        const resuming = pauses ? setInterval(() => call.resume(), 2) : undefined;
        const ended = reply.then(
          ({ body: got }) => {
            ends++;
            counts.answered++;
            if (!answer(id).test(got)) problems.push(`${body(id)} was answered with ${got.slice(0, 80)}`);
          },
          (error: RrError) => {
            ends++;
            counts.failed++;
            if (![...failures, ...accidents].includes(error.reason)) problems.push(`${body(id)}: ${error.message}`);
          },
        );
        if (cancelsAfterMs === undefined) await ended;
        else {
          await new Promise((resolve) => setTimeout(resolve, cancelsAfterMs));
          const endedBefore = ends;
          call.cancel();
          counts.cancelled++;
          await new Promise((resolve) => setTimeout(resolve, 20));
          if (ends !== endedBefore) problems.push(`${body(id)} ended after it was cancelled`);
        }
        clearInterval(resuming);
      };

      let next = 0;
      let finished = false;
      const lanes = Array.from({ length: LANES }, async () => {
        while (next < CALLS) await oneCall(next++);
      });
      const operators = (async () => {
        while (!finished) {
          const operation = pick(["reset", "scale", "scale", "kill", "restart", "nothing"] as const);
          const victim = pick(pool.pool.workers);
          if (operation === "reset") await pool.pool.reset();
          else if (operation === "scale") await pool.pool.scale(1 + Math.floor(random() * 7));
          else if (operation === "kill" && victim) pool.pool.killWorker(victim);
          else if (operation === "restart" && victim) await pool.pool.restartWorker(victim);
          await new Promise((resolve) => setTimeout(resolve, random() * 30));
        }
      })();
      await Promise.all(lanes);
      finished = true;
      await operators;
      await eventually("no call was open", () => pool.pool.callsOpen === 0);
      await pool.pool.scale(3);
      await eventually("the pool was whole", () => pool.readyPids.length === 3 && pool.pool.workers.length === 3);
      expect(problems.join("\n"), `seed ${seed}`).to.equal("");
      expect(counts.answered, `seed ${seed}`).to.be.greaterThan(CALLS / 3);
      const replies = await Promise.all(Array.from({ length: 20 }, (_, at) => pool.call(`echo ${at}`)));
      expect(replies.map(({ body }) => Number(body))).to.deep.equal(Array.from({ length: 20 }, (_, at) => at));
    });
  });
