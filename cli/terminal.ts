import { ansi, colourWanted, type Paint, plain } from "./output/colour.ts";

/** Where output goes. Made once by main, from the process's streams. */
export interface Terminal {
  readonly isTerminal: boolean;
  readonly paint: Paint;
  readonly columns: number | undefined;
  readonly rows: number | undefined;
  /** Resolves when the reader took it: a slow reader slows a feed instead of filling memory. */
  write(content: string | Uint8Array): Promise<void>;
  /** All of standard input. */
  readInput(): Promise<Uint8Array>;
  /** Messages about the work, apart from its result. */
  readonly messages: {
    readonly isTerminal: boolean;
    readonly paint: Paint;
    write(text: string): void;
  };
}

export type Environment = Readonly<Record<string, string | undefined>>;

interface OutputStream extends NodeJS.WritableStream {
  isTTY?: boolean;
  columns?: number;
  rows?: number;
}

export function createTerminal(
  stdin: AsyncIterable<Uint8Array | string>,
  stdout: OutputStream,
  stderr: OutputStream,
  env: Environment,
): Terminal {
  const isTerminal = stdout.isTTY === true;
  return {
    isTerminal,
    paint: colourWanted(env, isTerminal) ? ansi : plain,
    // Read anew each time: windows change their size.
    get columns() {
      return isTerminal ? stdout.columns : undefined;
    },
    get rows() {
      return isTerminal ? stdout.rows : undefined;
    },
    write: (content) =>
      new Promise((resolve, reject) => {
        if (content.length === 0) return resolve();
        stdout.write(content, (error) => (error ? reject(error) : resolve()));
      }),
    readInput: async () => {
      const pieces: Uint8Array[] = [];
      for await (const piece of stdin) pieces.push(Buffer.from(piece));
      return Buffer.concat(pieces);
    },
    messages: {
      isTerminal: stderr.isTTY === true,
      paint: colourWanted(env, stderr.isTTY === true) ? ansi : plain,
      write: (text) => void stderr.write(text),
    },
  };
}
