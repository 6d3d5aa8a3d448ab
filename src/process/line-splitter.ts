import { StringDecoder } from "node:string_decoder";

/** Of a longer line only so much is kept: a worker that prints megabytes without a line break must not fill the memory. */
const LINE_CHARACTERS_MAX = 16 * 1024;

/** Bytes, cut anywhere, to lines without their ends. What a line has too much is counted at its end. */
export class LineSplitter {
  readonly #decoder = new StringDecoder("utf8");
  readonly #onLine: (line: string) => void;
  #rest = "";
  /** Characters of the present line that were not kept. */
  #leftOut = 0;

  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine;
  }

  /** Whether there is text whose line has not ended. */
  get unended(): boolean {
    return this.#rest !== "";
  }

  push(chunk: Buffer): void {
    const text = this.#decoder.write(chunk);
    let at = 0;
    for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n", at)) {
      this.#add(text.slice(at, end));
      this.flush();
      at = end + 1;
    }
    this.#add(text.slice(at));
  }

  /** The stream ended, or paused for so long that a half line should be seen. */
  flush(): void {
    const line = this.#rest.endsWith("\r") ? this.#rest.slice(0, -1) : this.#rest;
    const leftOut = this.#leftOut;
    this.#rest = "";
    this.#leftOut = 0;
    if (line !== "") this.#onLine(leftOut > 0 ? `${line}… (${leftOut} more characters)` : line);
  }

  #add(text: string): void {
    const room = LINE_CHARACTERS_MAX - this.#rest.length;
    this.#rest += text.length > room ? text.slice(0, room) : text;
    this.#leftOut += Math.max(0, text.length - room);
  }
}
