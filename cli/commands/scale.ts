import { ScalePoolResponseSchema } from "../../gen/roadrunner/pool/v1/pool_service_pb.ts";
import { RrError } from "../../src/errors.ts";
import type { Command, CoreAccess } from "../invocation.ts";
import { messageData } from "../message-data.ts";
import { parseInteger } from "../values.ts";
import { poolSentence } from "../views/pools.ts";

const NUMBER = /^\+?\d+$/;

/** Most that the contract's field holds; the pool's own limit is the core's to say. */
const UINT32_MAX = 0xffff_ffff;

/** `scale http 8`, `scale 8`, `scale http +2`, `scale http --workers 8`: a word of digits is the number. */
export const run: Command<{ workers?: string }> = async ({ core, words, options }) => {
  const number = words.find((word) => NUMBER.test(word));
  const wanted = options.workers ?? number;
  if (wanted === undefined || (options.workers !== undefined && number !== undefined))
    throw new RrError("INVALID_REQUEST", "how many workers? Say it once, for example `rrctl scale http 8`");
  const names = words.filter((word) => word !== number);
  if (names.length > 1)
    throw new RrError("INVALID_REQUEST", `"${names[1]}": expected a number of workers such as 8 or +2`);
  const pool = names[0] ?? "";
  const workers = await wantedWorkers(core, pool, wanted);
  const response = await core.ask(`scaling ${pool || "the pool"} to ${workers} workers`, (client, signal) =>
    client.pools.scalePool({ pool, workers }, { signal }),
  );
  return {
    data: messageData(ScalePoolResponseSchema, response),
    text: (page) => (response.pool === undefined ? "" : poolSentence(response.pool, page)),
  };
};

/** "8", or "+2" on top of what the pool has now. */
async function wantedWorkers(core: CoreAccess, pool: string, text: string): Promise<number> {
  const number = parseInteger("--workers", text.replace(/^\+/, ""), 0, UINT32_MAX);
  if (!text.startsWith("+")) return number;
  const response = await core.ask("asking for the pool", (client, signal) =>
    client.pools.getPool({ pool }, { signal }),
  );
  return (response.pool?.workersWanted ?? 0) + number;
}
