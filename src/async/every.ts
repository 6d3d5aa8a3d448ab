/**
 * Does something at intervals until the signal aborts. The next interval begins when the work is done, so slow work never
 * piles up; what it throws goes to `onError` and ends nothing. Its timer keeps no process alive.
 *
 * @param intervalMs between the end of one run and the start of the next; the first run is after one interval
 */
export function every(
  intervalMs: number,
  signal: AbortSignal,
  work: () => void | Promise<void>,
  onError: (thrown: unknown) => void,
): void {
  if (signal.aborted) return;
  const timer = setTimeout(async () => {
    signal.removeEventListener("abort", stop);
    try {
      await work();
    } catch (thrown) {
      onError(thrown);
    }
    every(intervalMs, signal, work, onError);
  }, intervalMs);
  timer.unref();
  const stop = () => clearTimeout(timer);
  signal.addEventListener("abort", stop, { once: true });
}
