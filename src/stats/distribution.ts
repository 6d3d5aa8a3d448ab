import { LogHistogram } from "./log-histogram.ts";

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
  #newer = new LogHistogram();
  #older = new LogHistogram();
  #turnedAtMs = 0;

  record(durationMs: number, nowMs: number): void {
    if (nowMs - this.#turnedAtMs >= HALF_MS) this.#turn(nowMs);
    // The histogram counts whole numbers: microseconds.
    this.#newer.record(Math.round(durationMs * 1000));
  }

  figures(nowMs: number): DistributionFigures {
    if (nowMs - this.#turnedAtMs >= HALF_MS) this.#turn(nowMs);
    const halves = [this.#older, this.#newer];
    const count = this.#older.count + this.#newer.count;
    if (count === 0) return { count: 0, meanMs: 0, p50Ms: 0, p90Ms: 0, p99Ms: 0, maxMs: 0 };
    const [p50, p90, p99] = LogHistogram.percentiles(halves, [50, 90, 99]);
    const sum = this.#older.mean * this.#older.count + this.#newer.mean * this.#newer.count;
    return {
      count,
      meanMs: sum / count / 1000,
      p50Ms: p50! / 1000,
      p90Ms: p90! / 1000,
      p99Ms: p99! / 1000,
      maxMs: Math.max(this.#older.max, this.#newer.max) / 1000,
    };
  }

  #turn(nowMs: number): void {
    const stale = nowMs - this.#turnedAtMs >= 2 * HALF_MS;
    this.#older = stale ? new LogHistogram() : this.#newer;
    this.#newer = new LogHistogram();
    this.#turnedAtMs = nowMs;
  }
}
