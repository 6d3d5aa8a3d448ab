import { ScalePoolResponseSchema } from "../../gen/roadrunner/pool/v1/pool_service_pb.ts";
import { RrError } from "../../src/errors.ts";
import type { Command } from "../invocation.ts";
import { messageData } from "../message-data.ts";
import { parseInteger } from "../values.ts";
import { poolSentence } from "../views/pools.ts";

/** Most that the contract's field holds; the pool's own limit is the core's to say. */
const UINT32_MAX = 0xffff_ffff;

export const run: Command<{ workers?: string }> = async ({ core, words, options }) => {
  if (options.workers === undefined)
    throw new RrError("INVALID_REQUEST", "how many workers? Say --workers N, for example `rrctl scale --workers 8`");
  const pool = words[0] ?? "";
  const workers = parseInteger("--workers", options.workers, 0, UINT32_MAX);
  const response = await core.ask(`scaling ${pool || "the pool"} to ${workers} workers`, (client, signal) =>
    client.pools.scalePool({ pool, workers }, { signal }),
  );
  return {
    data: messageData(ScalePoolResponseSchema, response),
    text: (page) => (response.pool === undefined ? "" : poolSentence(response.pool, page)),
  };
};
