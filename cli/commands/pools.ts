import {
  type ListPoolsResponse,
  ListPoolsResponseSchema,
  WatchPoolsResponseSchema,
} from "../../gen/roadrunner/pool/v1/pool_service_pb.ts";
import type { Command } from "../invocation.ts";
import { messageData } from "../message-data.ts";
import { poolsView } from "../views/pools.ts";

export const run: Command<{ watch?: boolean }> = async ({ core, options }) => {
  if (!options.watch) {
    const response = await core.ask("listing the pools", (client, signal) => client.pools.listPools({}, { signal }));
    return { data: messageData(ListPoolsResponseSchema, response), text: (page) => poolsText(response, page) };
  }
  return {
    documents: core.follow(async function* (client, signal) {
      for await (const response of client.pools.watchPools({}, { signal }))
        yield {
          data: messageData(WatchPoolsResponseSchema, response),
          text: (page) => poolsText(response, page),
        };
    }),
    redraw: true,
  };
};

function poolsText({ pools }: Pick<ListPoolsResponse, "pools">, page: Parameters<typeof poolsView>[1]): string {
  return pools.length === 0 ? "No pools: the configuration names none.\n" : poolsView(pools, page);
}
