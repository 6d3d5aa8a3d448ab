import { setTimeout as delay } from "node:timers/promises";
import {
  type GetHealthResponse,
  GetHealthResponseSchema,
  type ServerHealth,
} from "../../gen/roadrunner/server/v1/server_service_pb.ts";
import type { CoreClient } from "../../src/client/core-client.ts";
import { RrError } from "../../src/errors.ts";
import type { Command } from "../invocation.ts";
import { messageData } from "../message-data.ts";
import { formatDuration } from "../output/format.ts";
import { parseDurationMs } from "../values.ts";

interface WaitOptions {
  for?: "started" | "ready";
  timeout?: string;
}

const TIMEOUT = "60s";
const LOOK_EVERY_MS = 200;

/** Waits until the server has started, or until it or the named pools take calls. */
export const run: Command<WaitOptions> = async ({ core, words, options }) => {
  const timeoutMs = parseDurationMs("--timeout", options.timeout ?? TIMEOUT);
  const goal = options.for ?? "ready";
  const deadlineMs = performance.now() + timeoutMs;
  let problem = "";
  const response = await core.ask(`waiting for the server to be ${goal}`, async (client, signal) => {
    for (;;) {
      const answer = await look(client, AbortSignal.any([signal, AbortSignal.timeout(Math.ceil(timeoutMs) + 1)]));
      problem = typeof answer === "string" ? answer : problemOf(answer.health, goal, words);
      if (typeof answer !== "string" && problem === "") return answer;
      if (performance.now() + LOOK_EVERY_MS > deadlineMs) throw tooLate(goal, timeoutMs, problem);
      await delay(LOOK_EVERY_MS, undefined, { signal });
    }
  });
  const what = words.length > 0 ? words.join(", ") : "the server";
  return {
    data: messageData(GetHealthResponseSchema, response),
    text: () => `${what}: ${goal}\n`,
  };
};

/** Why the core cannot be asked, as long as it may be about to start. */
async function look(client: CoreClient, signal: AbortSignal): Promise<GetHealthResponse | string> {
  try {
    return await client.server.getHealth({}, { signal });
  } catch (thrown) {
    const error = RrError.from(thrown);
    if (error.reason === "UNAVAILABLE" || error.reason === "CANCELLED") return `no core answers: ${error.message}`;
    throw thrown;
  }
}

/** "" if nothing is left to wait for. Throws POOL_NOT_FOUND for a pool that will never be there. */
export function problemOf(
  health: ServerHealth | undefined,
  goal: "started" | "ready",
  pools: readonly string[],
): string {
  if (!health?.server) return "the core says nothing of its health";
  if (goal === "started") return health.started ? "" : health.server.reason;
  const unknown = pools.find((name) => !Object.hasOwn(health.pools, name));
  if (unknown !== undefined) {
    const known = Object.keys(health.pools).join(", ") || "none";
    throw new RrError("POOL_NOT_FOUND", `there is no pool "${unknown}"; the pools are: ${known}`);
  }
  if (!health.server.ready) return health.server.reason;
  const names = pools.length > 0 ? pools : Object.keys(health.pools);
  const notReady = names.filter((name) => !health.pools[name]!.ready);
  return notReady.map((name) => `${name}: ${health.pools[name]!.reason}`).join("; ");
}

function tooLate(goal: string, timeoutMs: number, problem: string): RrError {
  return new RrError("DEADLINE_EXCEEDED", `not ${goal} within ${formatDuration(timeoutMs)}: ${problem}`);
}
