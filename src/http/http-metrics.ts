/** Upper bounds in seconds; RoadRunner's. */
export const DURATION_BUCKETS_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60] as const;

/** Figures of one frontend since its start, as plain data: frontends are processes of their own. */
export interface HttpMetricsSnapshot {
  readonly requestsInFlight: number;
  readonly noFreeWorkers: number;
  readonly uptimeSeconds: number;
  /** By status. */
  readonly responses: Readonly<Record<string, DurationHistogram>>;
}

export interface DurationHistogram {
  readonly count: number;
  readonly sumSeconds: number;
  /** How many took so long, for each bound; the last one is for all that took longer. */
  readonly buckets: readonly number[];
}

interface MutableHistogram {
  count: number;
  sumSeconds: number;
  readonly buckets: number[];
}

/** Counts requests for `rr_http_...` metrics. */
export class HttpMetrics {
  readonly #monotonicMs: () => number;
  readonly #startedMs: number;
  readonly #responses = new Map<number, MutableHistogram>();
  #requestsInFlight = 0;
  #noFreeWorkers = 0;

  constructor(monotonicMs: () => number) {
    this.#monotonicMs = monotonicMs;
    this.#startedMs = monotonicMs();
  }

  requestStarted(): void {
    this.#requestsInFlight++;
  }

  requestFinished(status: number, seconds: number): void {
    this.#requestsInFlight--;
    let histogram = this.#responses.get(status);
    if (histogram === undefined) {
      histogram = { count: 0, sumSeconds: 0, buckets: Array(DURATION_BUCKETS_SECONDS.length + 1).fill(0) };
      this.#responses.set(status, histogram);
    }
    histogram.count++;
    histogram.sumSeconds += seconds;
    const bucket = DURATION_BUCKETS_SECONDS.findIndex((bound) => seconds <= bound);
    histogram.buckets[bucket < 0 ? DURATION_BUCKETS_SECONDS.length : bucket]!++;
  }

  noFreeWorker(): void {
    this.#noFreeWorkers++;
  }

  snapshot(): HttpMetricsSnapshot {
    const responses = [...this.#responses].map(([status, { count, sumSeconds, buckets }]) => [
      String(status),
      { count, sumSeconds, buckets: [...buckets] },
    ]);
    return {
      requestsInFlight: this.#requestsInFlight,
      noFreeWorkers: this.#noFreeWorkers,
      uptimeSeconds: Math.floor((this.#monotonicMs() - this.#startedMs) / 1000),
      responses: Object.fromEntries(responses),
    };
  }
}

/** Figures of several frontends as those of one. */
export function mergedHttpMetrics(snapshots: readonly HttpMetricsSnapshot[]): HttpMetricsSnapshot {
  const responses: Record<string, DurationHistogram> = {};
  for (const snapshot of snapshots)
    for (const [status, one] of Object.entries(snapshot.responses)) {
      const other = responses[status];
      responses[status] =
        other === undefined
          ? one
          : {
              count: one.count + other.count,
              sumSeconds: one.sumSeconds + other.sumSeconds,
              buckets: one.buckets.map((count, at) => count + other.buckets[at]!),
            };
    }
  const sum = (figure: (snapshot: HttpMetricsSnapshot) => number) =>
    snapshots.reduce((total, snapshot) => total + figure(snapshot), 0);
  return {
    requestsInFlight: sum(({ requestsInFlight }) => requestsInFlight),
    noFreeWorkers: sum(({ noFreeWorkers }) => noFreeWorkers),
    uptimeSeconds: Math.max(0, ...snapshots.map(({ uptimeSeconds }) => uptimeSeconds)),
    responses,
  };
}

/** The text format of Prometheus, with RoadRunner's names. */
export function prometheusText(metrics: HttpMetricsSnapshot): string {
  const statuses = Object.entries(metrics.responses).sort(([one], [other]) => Number(one) - Number(other));
  const lines = [
    ...family("rr_http_requests_queue", "gauge", "Requests in flight", ["", metrics.requestsInFlight]),
    ...family("rr_http_no_free_workers_total", "counter", "Requests refused because no worker was free", [
      "",
      metrics.noFreeWorkers,
    ]),
    ...family(
      "rr_http_request_total",
      "counter",
      "Requests by status",
      ...statuses.map(([status, { count }]) => [`{status="${status}"}`, count] as const),
    ),
    ...family(
      "rr_http_request_duration_seconds",
      "histogram",
      "Time from the head of a request to the end of its response",
      ...statuses.flatMap(([status, histogram]) => histogramSamples(status, histogram)),
    ),
    ...family("rr_http_uptime_seconds", "counter", "Time since the start", ["", metrics.uptimeSeconds]),
  ];
  return `${lines.join("\n")}\n`;
}

type Sample = readonly [labels: string, value: number];

function family(name: string, type: string, help: string, ...samples: Sample[]): string[] {
  return [
    `# HELP ${name} ${help}`,
    `# TYPE ${name} ${type}`,
    ...samples.map(([labels, value]) => `${name}${labels} ${value}`),
  ];
}

function histogramSamples(status: string, { count, sumSeconds, buckets }: DurationHistogram): Sample[] {
  let total = 0;
  const samples = DURATION_BUCKETS_SECONDS.map((bound, at): Sample => {
    total += buckets[at]!;
    return [`_bucket{status="${status}",le="${bound}"}`, total];
  });
  return [
    ...samples,
    [`_bucket{status="${status}",le="+Inf"}`, count],
    [`_sum{status="${status}"}`, sumSeconds],
    [`_count{status="${status}"}`, count],
  ];
}
