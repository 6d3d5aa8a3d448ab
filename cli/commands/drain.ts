import { durationFromMs } from "@bufbuild/protobuf/wkt";
import {
  DrainResponseSchema,
  ServerState,
  UndrainResponseSchema,
} from "../../gen/roadrunner/server/v1/server_service_pb.ts";
import type { Command } from "../invocation.ts";
import { messageData, stateName } from "../message-data.ts";
import { counted } from "../output/format.ts";
import { parseDurationMs } from "../values.ts";

/** Lets the server finish what runs and take nothing new, until `rrctl undrain`. */
export const drain: Command<{ timeout?: string }> = async ({ core, options }) => {
  const { timeout } = options;
  const timeoutMs = timeout === undefined ? undefined : Math.round(parseDurationMs("--timeout", timeout));
  const request = timeoutMs === undefined ? {} : { timeout: durationFromMs(timeoutMs) };
  const response = await core.ask("draining: waiting for running calls", (client, signal) =>
    client.server.drain(request, { signal }),
  );
  const { callsRunning } = response;
  const left = callsRunning === 0 ? "no call runs" : `${counted(callsRunning, "call")} still running`;
  return {
    data: messageData(DrainResponseSchema, response),
    text: () => `The server takes no new calls, ${left}; \`rrctl undrain\` undoes it.\n`,
  };
};

export const undrain: Command = async ({ core }) => {
  const response = await core.ask("undraining", (client, signal) => client.server.undrain({}, { signal }));
  return {
    data: messageData(UndrainResponseSchema, response),
    text: () =>
      response.state === ServerState.SERVING
        ? "The server takes calls again.\n"
        : `The server is ${stateName(ServerState, response.state)} and will take calls.\n`,
  };
};
