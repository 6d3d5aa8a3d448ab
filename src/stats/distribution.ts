import { createHistogram, type RecordableHistogram } from "node:perf_hooks";

export interface DistributionFigures {
  count: number;
  meanMs: number;
  p50Ms: number;
  p90Ms: number;
  p99Ms: number;
  maxMs: number;
}

const HALF_MS = 30_000;

/** How durations are spread over about the last minute: two halves, the older one dropped as the newer fills. */
export class Distribution {
  #newer: RecordableHistogram = createHistogram();
  #older: RecordableHistogram = createHistogram();
  #turnedAtMs = 0;

  record(durationMs: number, nowMs: number): void {
    if (nowMs - this.#turnedAtMs >= HALF_MS) this.#turn(nowMs);
    // The histogram counts whole numbers from 1: microseconds.
    this.#newer.record(Math.max(1, Math.round(durationMs * 1000)));
  }

  figures(nowMs: number): DistributionFigures {
    if (nowMs - this.#turnedAtMs >= HALF_MS) this.#turn(nowMs);
    const both = createHistogram();
    both.add(this.#older);
    both.add(this.#newer);
    if (both.count === 0) return { count: 0, meanMs: 0, p50Ms: 0, p90Ms: 0, p99Ms: 0, maxMs: 0 };
    return {
      count: both.count,
      meanMs: both.mean / 1000,
      p50Ms: both.percentile(50) / 1000,
      p90Ms: both.percentile(90) / 1000,
      p99Ms: both.percentile(99) / 1000,
      maxMs: both.max / 1000,
    };
  }

  #turn(nowMs: number): void {
    const stale = nowMs - this.#turnedAtMs >= 2 * HALF_MS;
    this.#older = stale ? createHistogram() : this.#newer;
    this.#newer = createHistogram();
    this.#turnedAtMs = nowMs;
  }
}
