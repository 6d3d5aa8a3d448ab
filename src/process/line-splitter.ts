import { StringDecoder } from "node:string_decoder";

/** Longer lines are cut: a worker that prints megabytes without a line break must not fill the memory. */
const LINE_CHARACTERS_MAX = 16 * 1024;

/** Bytes, cut anywhere, to lines without their ends. */
export class LineSplitter {
  readonly #decoder = new StringDecoder("utf8");
  readonly #onLine: (line: string) => void;
  #rest = "";

  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine;
  }

  push(chunk: Buffer): void {
    const lines = (this.#rest + this.#decoder.write(chunk)).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) this.#emit(line);
    if (this.#rest.length > LINE_CHARACTERS_MAX) this.flush();
  }

  /** The stream ended, or paused for so long that a half line should be seen. */
  flush(): void {
    const rest = this.#rest;
    this.#rest = "";
    if (rest !== "") this.#emit(rest);
  }

  #emit(line: string): void {
    const text = line.endsWith("\r") ? line.slice(0, -1) : line;
    if (text !== "") this.#onLine(text.length > LINE_CHARACTERS_MAX ? `${text.slice(0, LINE_CHARACTERS_MAX)}…` : text);
  }
}
