import { readdir } from "node:fs/promises";

/** How long the names in a folder are believed. */
const FRESH_MS = 1_000;

/**
 * The names in a folder, to say of most paths without a look at the disk that there is no such file: the routes of an
 * application have other first parts than its folder of files.
 */
export class TopNames {
  readonly #folder: string;
  #names: ReadonlySet<string> | undefined;
  #readMs = Number.NEGATIVE_INFINITY;
  #reading = false;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** False: there was nothing of this name a second ago at most. */
  mayHave(name: string): boolean {
    if (performance.now() - this.#readMs < FRESH_MS) return this.#names?.has(name) ?? true;
    void this.#read();
    return true;
  }

  async #read(): Promise<void> {
    if (this.#reading) return;
    this.#reading = true;
    const startedMs = performance.now();
    this.#names = await readdir(this.#folder).then(
      (names) => new Set(names),
      () => undefined,
    );
    this.#readMs = startedMs;
    this.#reading = false;
  }
}
