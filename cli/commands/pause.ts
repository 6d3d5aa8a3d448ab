import { PausePoolResponseSchema, ResumePoolResponseSchema } from "../../gen/roadrunner/pool/v1/pool_service_pb.ts";
import type { Command } from "../invocation.ts";
import { messageData } from "../message-data.ts";
import { poolSentence } from "../views/pools.ts";

export const pause: Command = async ({ core, words }) => {
  const response = await core.ask("pausing", (client, signal) =>
    client.pools.pausePool({ pool: words[0] ?? "" }, { signal }),
  );
  return {
    data: messageData(PausePoolResponseSchema, response),
    text: (page) => (response.pool === undefined ? "" : poolSentence(response.pool, page)),
  };
};

export const resume: Command = async ({ core, words }) => {
  const response = await core.ask("resuming", (client, signal) =>
    client.pools.resumePool({ pool: words[0] ?? "" }, { signal }),
  );
  return {
    data: messageData(ResumePoolResponseSchema, response),
    text: (page) => (response.pool === undefined ? "" : poolSentence(response.pool, page)),
  };
};
