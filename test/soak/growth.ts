import { readdirSync, readFileSync } from "node:fs";

interface Sample {
  readonly atSeconds: number;
  readonly rssBytes: number;
  readonly descriptors: number;
}

const MEGABYTE = 1024 * 1024;
/** Share of a run in which what is made once is made, and heaps find their size. */
const WARM_SHARE = 0.4;
/** Beyond this a process grows: at 1 MB a minute a server of today is full next week. */
const SLOPE_MB_PER_MINUTE_MAX = 2;
/** Short runs measure the breath of the heap, not its growth: so much in all is none yet. */
const GROWTH_MB_MIN = 40;
const DESCRIPTORS_MAX = 20;

/** Memory and descriptors of processes over time. */
export class Growth {
  readonly #samples = new Map<number, { name: string; samples: Sample[] }>();
  readonly #startedAtMs = performance.now();

  /** Looks at a process now. One that is gone is left out. */
  sample(pid: number, name: string): void {
    const entry = this.#samples.get(pid) ?? { name, samples: [] };
    this.#samples.set(pid, entry);
    try {
      const rssKb = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1]!;
      entry.samples.push({
        atSeconds: (performance.now() - this.#startedAtMs) / 1000,
        rssBytes: Number(rssKb) * 1024,
        descriptors: readdirSync(`/proc/${pid}/fd`).length,
      });
    } catch {
      // It ended.
    }
  }

  /** A line for each process that lived through most of the run. */
  figures(): string[] {
    return this.#judged().map(
      ({ name, fromMb, toMb, slope, descriptors }) =>
        `${name}: ${fromMb.toFixed(0)} to ${toMb.toFixed(0)} MB, ${slope.toFixed(2)} MB/min; descriptors ${descriptors >= 0 ? "+" : ""}${descriptors}`,
    );
  }

  /** What grows. */
  faults(): string[] {
    return this.#judged().flatMap(({ name, fromMb, toMb, slope, descriptors }) => [
      ...(slope > SLOPE_MB_PER_MINUTE_MAX && toMb - fromMb > GROWTH_MB_MIN
        ? [`${name} grows by ${slope.toFixed(1)} MB a minute`]
        : []),
      ...(descriptors > DESCRIPTORS_MAX ? [`${name} has ${descriptors} descriptors more than at the start`] : []),
    ]);
  }

  #judged() {
    return [...this.#samples.values()].flatMap(({ name, samples }) => {
      const warm = samples.filter(({ atSeconds }) => atSeconds > samples.at(-1)!.atSeconds * WARM_SHARE);
      if (warm.length < 3) return [];
      const [first, last] = [warm[0]!, warm.at(-1)!];
      return [
        {
          name,
          fromMb: first.rssBytes / MEGABYTE,
          toMb: last.rssBytes / MEGABYTE,
          slope: slopeOf(warm) / MEGABYTE,
          descriptors: last.descriptors - first.descriptors,
        },
      ];
    });
  }
}

/** Bytes a minute, by least squares. */
function slopeOf(samples: readonly Sample[]): number {
  const mean = (of: (sample: Sample) => number) => samples.reduce((sum, one) => sum + of(one), 0) / samples.length;
  const [meanAt, meanRss] = [mean(({ atSeconds }) => atSeconds), mean(({ rssBytes }) => rssBytes)];
  let [covariance, variance] = [0, 0];
  for (const { atSeconds, rssBytes } of samples) {
    covariance += (atSeconds - meanAt) * (rssBytes - meanRss);
    variance += (atSeconds - meanAt) ** 2;
  }
  return variance === 0 ? 0 : (covariance / variance) * 60;
}
