import type { ResponseCounts } from "../../gen/roadrunner/dispatch/v1/dispatch_service_pb.ts";

const CLASSES = 5;

/** What responses of each pool were like since it was last asked. */
export class ResponseTally {
  readonly #byPool = new Map<string, number[]>();

  /** @param status 100 to 599; others count for nothing */
  add(pool: string, status: number): void {
    const place = Math.floor(status / 100) - 1;
    if (place < 0 || place >= CLASSES) return;
    let counts = this.#byPool.get(pool);
    if (!counts) {
      counts = Array.from({ length: CLASSES }, () => 0);
      this.#byPool.set(pool, counts);
    }
    counts[place]!++;
  }

  /** One report for each pool that had responses. */
  take(): ResponseCounts[] {
    const reports = [...this.#byPool].map(([pool, counts]) => ({
      $typeName: "roadrunner.dispatch.v1.ResponseCounts" as const,
      pool,
      responses1xx: counts[0]!,
      responses2xx: counts[1]!,
      responses3xx: counts[2]!,
      responses4xx: counts[3]!,
      responses5xx: counts[4]!,
    }));
    this.#byPool.clear();
    return reports;
  }
}
