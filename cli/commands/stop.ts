import { readFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { ShutdownResponseSchema } from "../../gen/roadrunner/server/v1/server_service_pb.ts";
import { RrError, systemErrorCode } from "../../src/errors.ts";
import { isLocal } from "../address.ts";
import type { Command, CoreAccess } from "../invocation.ts";
import { messageData } from "../message-data.ts";
import { formatDuration } from "../output/format.ts";
import { parseDurationMs } from "../values.ts";

interface StopOptions {
  timeout?: string;
  force?: boolean;
  wait?: boolean;
}

const LOOK_EVERY_MS = 50;
/** What ending takes beside the drain: workers' stop ladders, frontends. */
const ENDING_LIMIT_MS = 60_000;
/** What a process takes to end after its last answer. */
const PROCESS_LIMIT_MS = 10_000;

/** Asks the core to drain and end, and waits until its process is gone. */
export const run: Command<StopOptions> = async ({ core, options }) => {
  const timeoutMs = options.force
    ? 0
    : options.timeout === undefined
      ? undefined
      : parseDurationMs("--timeout", options.timeout);
  const request = timeoutMs === undefined ? {} : { timeout: durationFromMs(Math.round(timeoutMs)) };
  const startMs = performance.now();
  const response = await core.ask("stopping: waiting for running calls", (client, signal) =>
    client.server.shutdown(request, { signal }),
  );
  if (options.wait !== false) await ended(core, response.pid);
  const took = formatDuration(performance.now() - startMs);
  return {
    data: messageData(ShutdownResponseSchema, response),
    text: () =>
      options.wait === false
        ? `The server (pid ${response.pid}) is stopping.\n`
        : `The server (pid ${response.pid}) stopped after ${took}.\n`,
  };
};

/** Waits until the core answers no more and, where that can be seen, its process is gone. */
async function ended(core: CoreAccess, pid: number): Promise<void> {
  const { address } = await core.location();
  const deadlineMs = performance.now() + ENDING_LIMIT_MS;
  await core.ask("waiting for the server to end", async (client, signal) => {
    const answers = () =>
      client.server.getServerInfo({}, { signal }).then(
        () => true,
        (thrown) => {
          if (thrown instanceof RrError && thrown.reason === "UNAVAILABLE") return false;
          throw thrown;
        },
      );
    while (await answers()) {
      if (performance.now() > deadlineMs)
        throw new RrError(
          "DEADLINE_EXCEEDED",
          `the server (pid ${pid}) still answers ${formatDuration(ENDING_LIMIT_MS)} after it was asked to stop`,
          { metadata: { pid } },
        );
      await delay(LOOK_EVERY_MS, undefined, { signal });
    }
    if (!isLocal(address)) return;
    // A forwarded port looks local too, and then the pid is one of another machine or container: so this has an end.
    const processDeadlineMs = performance.now() + PROCESS_LIMIT_MS;
    while ((await processRuns(pid)) && performance.now() < processDeadlineMs)
      await delay(LOOK_EVERY_MS, undefined, { signal });
  });
}

async function processRuns(pid: number): Promise<boolean> {
  try {
    process.kill(pid, 0);
  } catch (thrown) {
    return systemErrorCode(thrown) === "EPERM";
  }
  // A process that ended but was not collected by its parent still takes signals.
  const status = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
  return !/^\d+ \(.*\) [ZX] /s.test(status);
}
