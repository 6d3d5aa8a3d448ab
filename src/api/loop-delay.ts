import { monitorEventLoopDelay } from "node:perf_hooks";
import { every } from "../async/every.ts";

const RESOLUTION_MS = 20;
const PERIOD_MS = 10_000;

/** How late the event loop runs, over the last 10 to 20 seconds; looking changes nothing. */
export class LoopDelay {
  readonly #histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  #beforeMs = 0;

  /** @param stopping ends the measuring */
  constructor(stopping: AbortSignal) {
    this.#histogram.enable();
    stopping.addEventListener("abort", () => this.#histogram.disable());
    every(
      PERIOD_MS,
      stopping,
      () => {
        this.#beforeMs = this.#percentileMs();
        this.#histogram.reset();
      },
      () => {},
    );
  }

  /** 99 % are below, in milliseconds. */
  get p99Ms(): number {
    return Math.max(this.#beforeMs, this.#percentileMs());
  }

  #percentileMs(): number {
    return Math.max(0, this.#histogram.percentile(99) / 1e6 - RESOLUTION_MS);
  }
}
