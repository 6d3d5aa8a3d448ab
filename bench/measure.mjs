/** Latencies are counted in steps of this width: exact enough, and a count instead of a list of millions. */
const STEP_MS = 0.01;
const STEPS = 100_000;

/**
 * Keeps so many calls running and counts those that end within the time. `call` starts one and tells its end by
 * `done(ok)`, exactly once.
 */
export async function measure(call, { inFlight, seconds, warmUpSeconds }) {
  await keepRunning(call, inFlight, warmUpSeconds);
  return keepRunning(call, inFlight, seconds);
}

function keepRunning(call, inFlight, seconds) {
  const latencies = new Uint32Array(STEPS);
  const startedAtMs = performance.now();
  const endAtMs = startedAtMs + seconds * 1000;
  let running = inFlight;
  let calls = 0;
  let failed = 0;
  return new Promise((resolve) => {
    const next = () => {
      const callAtMs = performance.now();
      call((ok) => {
        const nowMs = performance.now();
        if (ok) calls++;
        else failed++;
        latencies[Math.min(STEPS - 1, Math.floor((nowMs - callAtMs) / STEP_MS))]++;
        // Not at once: a call that fails while it is started would go ever deeper.
        if (nowMs < endAtMs) queueMicrotask(next);
        else if (--running === 0) {
          const perSecond = (calls * 1000) / (nowMs - startedAtMs);
          resolve({ perSecond, calls, failed, p50Ms: percentile(latencies, 0.5), p99Ms: percentile(latencies, 0.99) });
        }
      });
    };
    for (let at = 0; at < inFlight; at++) next();
  });
}

function percentile(latencies, share) {
  const wanted = latencies.reduce((sum, count) => sum + count, 0) * share;
  let seen = 0;
  const step = latencies.findIndex((count) => {
    seen += count;
    return seen >= wanted;
  });
  return (step + 1) * STEP_MS;
}
