/** What one run of a fuzzer may cost: it ends with whatever is reached first. */
export interface FuzzOptions {
  readonly inputs: number;
  readonly seconds: number;
  /** The same seed makes the same inputs. */
  readonly seed: number;
  /** A line for people who wait. */
  readonly progress?: (line: string) => void;
}

export interface FuzzReport {
  /** How many inputs were tried. */
  readonly inputs: number;
  readonly seconds: number;
  /** Figures worth a look, such as answers by status. */
  readonly figures: Readonly<Record<string, number | string>>;
  /** What is wrong, each with the seed and, where one input did it, its bytes as hex. Empty: nothing. */
  readonly findings: readonly string[];
}

/** Each fuzzer is a file that exports this. */
export type Fuzz = (options: FuzzOptions) => Promise<FuzzReport>;

const WARM_SHARE = 0.25;

/** Counts inputs and time of a run. */
export class Budget {
  readonly #options: FuzzOptions;
  readonly #startedAtMs = performance.now();
  #toldAtMs = this.#startedAtMs;
  used = 0;
  /** Called once, when a quarter is used up: what is made once is made then, and growth from there on is a leak. */
  whenWarm: (() => void) | undefined;

  constructor(options: FuzzOptions) {
    this.#options = options;
  }

  get seconds(): number {
    return (performance.now() - this.#startedAtMs) / 1000;
  }

  get left(): boolean {
    return this.used < this.#options.inputs && this.seconds < this.#options.seconds;
  }

  spend(inputs = 1): void {
    this.used += inputs;
    const { whenWarm } = this;
    if (whenWarm && Math.max(this.used / this.#options.inputs, this.seconds / this.#options.seconds) > WARM_SHARE) {
      this.whenWarm = undefined;
      whenWarm();
    }
    const nowMs = performance.now();
    if (nowMs - this.#toldAtMs < 10_000) return;
    this.#toldAtMs = nowMs;
    this.#options.progress?.(`${this.used} inputs in ${Math.round(this.seconds)} s`);
  }
}
