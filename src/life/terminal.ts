import { isatty } from "node:tty";

const STANDARD_STREAMS = [0, 1, 2];

/**
 * Whether the terminal is still there in which the program was started: one of its standard streams was a terminal then.
 * A terminal that was closed is none any more to who still holds it open.
 */
export class StartTerminal {
  readonly #descriptors: readonly number[];
  readonly #isTerminal: (descriptor: number) => boolean;

  constructor(isTerminal: (descriptor: number) => boolean = isatty) {
    this.#isTerminal = isTerminal;
    this.#descriptors = STANDARD_STREAMS.filter(isTerminal);
  }

  /** False without one at the start: as a service, in a container, after `nohup` or with all streams elsewhere. */
  get isGone(): boolean {
    return this.#descriptors.length > 0 && !this.#descriptors.some(this.#isTerminal);
  }
}
