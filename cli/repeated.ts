import { setTimeout as delay } from "node:timers/promises";
import type { CoreAccess } from "./invocation.ts";

/** The same question again and again until Ctrl-C, with a pause between an answer and the next question. */
export function repeated<Answer>(
  core: CoreAccess,
  intervalMs: number,
  question: () => Promise<Answer>,
): AsyncIterable<Answer> {
  return core.follow(async function* (_client, signal) {
    while (!signal.aborted) {
      yield await question();
      await delay(intervalMs, undefined, { signal });
    }
  });
}
