import { RrError } from "../errors.ts";
import type { Worker } from "../worker/worker.ts";

/** Settles when these workers have ended. Rejects with CANCELLED when the signal aborts; they end all the same. */
export async function whenGone(workers: readonly Worker[], signal: AbortSignal): Promise<void> {
  if (workers.length === 0) return;
  let abort: () => void = () => {};
  const aborted = new Promise<never>((_, reject) => {
    const message = `nobody waits any more until ${workers.length} workers have ended; they end after their call`;
    abort = () => reject(new RrError("CANCELLED", message));
  });
  signal.addEventListener("abort", abort, { once: true });
  if (signal.aborted) abort();
  try {
    await Promise.race([Promise.all(workers.map(({ exited }) => exited)), aborted]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
