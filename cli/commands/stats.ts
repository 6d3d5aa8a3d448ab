import {
  GetStatsResponseSchema,
  type Stats,
  WatchStatsResponseSchema,
} from "../../gen/roadrunner/stats/v1/stats_service_pb.ts";
import type { Command } from "../invocation.ts";
import { messageData } from "../message-data.ts";
import { parseDurationMs } from "../values.ts";
import { statsView } from "../views/stats.ts";

export const run: Command<{ watch?: boolean; interval?: string }> = async ({ core, options }) => {
  if (!options.watch) {
    const response = await core.ask("reading the figures", (client, signal) => client.stats.getStats({}, { signal }));
    return { data: messageData(GetStatsResponseSchema, response), text: (page) => view(response.stats, page) };
  }
  const intervalMs = parseDurationMs("--interval", options.interval ?? "1s");
  const { durationFromMs } = await import("@bufbuild/protobuf/wkt");
  const interval = durationFromMs(Math.max(1, Math.round(intervalMs)));
  return {
    documents: core.follow(async function* (client, signal) {
      for await (const response of client.stats.watchStats({ interval }, { signal }))
        yield {
          data: messageData(WatchStatsResponseSchema, response),
          text: (page: Parameters<typeof statsView>[1]) => view(response.stats, page),
        };
    }),
    redraw: true,
  };
};

function view(stats: Stats | undefined, page: Parameters<typeof statsView>[1]): string {
  return stats === undefined ? "" : statsView(stats, page);
}
