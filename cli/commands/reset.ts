import { type ResetPoolResponse, ResetPoolResponseSchema } from "../../gen/roadrunner/pool/v1/pool_service_pb.ts";
import { RrError } from "../../src/errors.ts";
import { explainFailure, type Failure, failureData } from "../failure.ts";
import type { Command, CoreAccess } from "../invocation.ts";
import { messageData, spanMs } from "../message-data.ts";
import { formatDuration } from "../output/format.ts";
import type { JsonValue, Page } from "../output/output.ts";
import { poolSentence } from "../views/pools.ts";

type Outcome = { pool: string; response: ResetPoolResponse } | { pool: string; failure: Failure };

/**
 * Resets the named pools, or all, at the same time. A name that is no pool's is found before any is reset; one that fails
 * does not keep the others from it.
 */
export const run: Command = async ({ core, words }) => {
  const known = await poolNames(core);
  const unknown = words.filter((word) => !known.includes(word));
  if (unknown.length > 0)
    throw new RrError(
      "POOL_NOT_FOUND",
      `there is no pool ${unknown.map((name) => `"${name}"`).join(" and none ")}; the pools are: ${known.join(", ") || "none"}; none was reset`,
      { metadata: { pool: unknown[0]!, known: known.join(",") } },
    );
  const names = words.length > 0 ? [...new Set(words)] : known;
  const label = names.length === 1 ? `resetting ${names[0]}` : `resetting ${names.length} pools`;
  const outcomes = await core.ask(label, (client, signal) =>
    Promise.all(
      names.map(async (pool): Promise<Outcome> => {
        try {
          return { pool, response: await client.pools.resetPool({ pool }, { signal }) };
        } catch (thrown) {
          const failure = explainFailure(thrown, { command: "reset" });
          // What befell the whole command is said once: the time limit, Ctrl-C, no core, or the only pool's failure.
          if (signal.aborted || failure.reason === "UNAVAILABLE" || names.length === 1) throw thrown;
          return { pool, failure: { ...failure, message: `${pool}: ${failure.message}` } };
        }
      }),
    ),
  );
  return {
    data: { pools: outcomes.map(outcomeData) },
    text: (page) =>
      outcomes.length === 0 ? "No pools to reset.\n" : outcomes.map((it) => outcomeText(it, page)).join(""),
    failures: outcomes.flatMap((outcome) => ("failure" in outcome ? [outcome.failure] : [])),
  };
};

async function poolNames(core: CoreAccess): Promise<string[]> {
  const { pools } = await core.ask("listing the pools", (client, signal) => client.pools.listPools({}, { signal }));
  return pools.map((pool) => pool.name);
}

function outcomeData(outcome: Outcome): JsonValue {
  if ("failure" in outcome) return { name: outcome.pool, ...failureData(outcome.failure) };
  return { name: outcome.pool, ...messageData(ResetPoolResponseSchema, outcome.response) };
}

/** Failures are told apart from this, on stderr. */
function outcomeText(outcome: Outcome, page: Page): string {
  if ("failure" in outcome || outcome.response.pool === undefined) return "";
  const { pool, bootTime } = outcome.response;
  const sentence = poolSentence(pool, page).trimEnd();
  return `${sentence}, generation ${pool.generation} booted in ${formatDuration(spanMs(bootTime))}\n`;
}
