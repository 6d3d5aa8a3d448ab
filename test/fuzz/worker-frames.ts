import { Agent } from "node:http";
import { encodeFrame, FLAG, STREAM } from "../../src/goridge/frame.ts";
import { goridge1 } from "../../src/goridge/goridge1.ts";
import { goridge3 } from "../../src/goridge/goridge3.ts";
import type { WorkerMessageListener, WorkerProtocol } from "../../src/goridge/worker-protocol.ts";
import { within } from "../support/eventually.ts";
import { send } from "../support/http-load.ts";
import { bytesOf, vectorsNamed } from "../support/vectors.ts";
import { Budget, type Fuzz, type FuzzOptions } from "./fuzzer.ts";
import { mutate, Random } from "./random.ts";
import { FuzzTarget } from "./target.ts";

const FRAME_BYTES_MAX = 1024 * 1024;
/** Of the inputs one in so many also comes out of a real PHP worker, which dies of most of them. */
const REAL_SHARE = 1_000;
const LANES = 4;
/** `exec_ttl` ends whatever a worker leaves hanging long before. */
const CALL_LIMIT_MS = 15_000;
const STUCK = "the call ended";

/** Answers as workers send them, with the errors that are worth a mutation of their own already made. */
const SEEDS: readonly Buffer[] = [
  ...vectorsNamed(/^(frame|exec|control|stream|boot)\./).map(bytesOf),
  encodeFrame(FLAG.JSON, 0, [15], Buffer.from('{"status":200}\n'), Buffer.from("body")),
  encodeFrame(FLAG.PROTO, STREAM.STREAM, [0], Buffer.from("piece")),
  encodeFrame(FLAG.PROTO, STREAM.STREAM | STREAM.PING, [0]),
  encodeFrame(FLAG.ERROR, 0, [], Buffer.from("an error of the application")),
  encodeFrame(FLAG.CONTROL | FLAG.JSON, 0, [], Buffer.from('{"pid":123}')),
  encodeFrame(FLAG.JSON, 0, [0xffffffff], Buffer.from("{}")),
  encodeFrame(0, 0, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], Buffer.alloc(70_000, "x")),
  Buffer.from("Warning: Undefined variable $x in /app/index.php on line 3\n"),
];

/**
 * What workers may put on their channel. Most inputs go through the reader alone, whole and in pieces, which must give the
 * same; some are answers of real workers, among real calls.
 */
export const fuzz: Fuzz = async (options) => {
  const budget = new Budget(options);
  const random = new Random(options.seed);
  const target = await FuzzTarget.start(budget, {
    pool: { num_workers: 2 * LANES, supervisor: { exec_ttl: "1s", watch_tick: "1s" } },
  });
  let realInputs = 0;
  const statuses: Record<string, number> = {};
  const count = (name: string) => {
    statuses[name] = (statuses[name] ?? 0) + 1;
  };
  const real = lanes(
    LANES,
    () => budget.left,
    async (agent) => {
      const input = mutate(random.pick(SEEDS), random).subarray(0, 1000);
      realInputs++;
      try {
        const answer = send(
          `${target.server.httpUrl}/${random.oneIn(10) ? "raw-bytes" : "raw-bytes-exit"}?${input.toString("hex")}`,
          { agent },
        );
        const { status } = await within(CALL_LIMIT_MS, STUCK, answer);
        count(`status_${status}`);
      } catch (thrown) {
        // A stream that breaks after it began ends the connection: that is its answer.
        count("broken");
        if (String(thrown).includes(STUCK))
          target.found(`the answer ${input.toString("hex")} of a worker: ${String(thrown)}`);
      }
    },
  );
  for (const stopAt = options.inputs; budget.used < stopAt && budget.left; ) {
    for (let inputs = 0; inputs < REAL_SHARE && budget.left; inputs++) {
      const problem = readBothWays(mutate(random.pick(SEEDS), random), random);
      if (problem) target.found(problem);
      budget.spend();
    }
    // Real workers, and everybody else, get their turn.
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await real;
  const { findings, figures } = await target.end();
  return {
    inputs: budget.used,
    seconds: budget.seconds,
    findings: tagged(findings, options),
    figures: { real: realInputs, ...statuses, ...figures },
  };
};

function tagged(findings: readonly string[], { seed }: FuzzOptions): string[] {
  return findings.map((finding) => `seed ${seed}: ${finding}`);
}

/** So many at a time, again and again. */
async function lanes(count: number, goOn: () => boolean, once: (agent: Agent) => Promise<void>): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: count });
  await Promise.all(
    Array.from({ length: count }, async () => {
      while (goOn()) await once(agent);
    }),
  );
  agent.destroy();
}

/** Undefined, or what differs when the same bytes come in other pieces. */
function readBothWays(input: Buffer, random: Random): string | undefined {
  const protocol = random.oneIn(4) ? goridge1 : goridge3;
  const cuts = Array.from({ length: random.below(6) }, () => random.below(input.length + 1)).sort((a, b) => a - b);
  const pieces = [...cuts, input.length].map((end, index) => input.subarray(index === 0 ? 0 : cuts[index - 1]!, end));
  try {
    const [whole, cut] = [seenOf(protocol, [input]), seenOf(protocol, pieces)];
    return whole === cut ? undefined : `${input.toString("hex")} cut at ${cuts} reads as ${cut} in place of ${whole}`;
  } catch (thrown) {
    return `${input.toString("hex")} cut at ${cuts} throws ${String(thrown)}`;
  }
}

/** What a reader tells, as one text: contents joined over pieces, since where those end is nobody's business. */
function seenOf(protocol: WorkerProtocol, pieces: readonly Buffer[]): string {
  const seen: string[] = [];
  let over = false;
  const add = (text: string) => {
    if (!over) seen.push(text);
  };
  const listener: WorkerMessageListener = {
    introduced: (pid) => add(`pid ${pid}`),
    reply: ({ context, body, codec, more, ping }) =>
      add(`reply ${codec} ${more} ${ping} ${context.toString("latin1")}|${body.toString("latin1")}`),
    replyContinues: (data) => {
      if (!over) seen[seen.length - 1] += data.toString("latin1");
    },
    error: (text) => add(`error ${text}`),
    stray: (bytes) => add(`stray ${bytes.toString("latin1")}`),
    // The worker is killed for it; what follows is nobody's.
    violation: () => {
      add("violation");
      over = true;
    },
  };
  const reader = protocol.createReader(listener, FRAME_BYTES_MAX);
  for (const piece of pieces) if (piece.length > 0) reader.push(Buffer.from(piece));
  reader.end();
  return seen.join("\n");
}
