import { plain } from "../../../cli/output/colour.ts";
import type { Terminal } from "../../../cli/terminal.ts";

export interface MemoryTerminal extends Terminal {
  /** What was written to stdout and stderr so far. */
  readonly out: string;
  readonly err: string;
}

/** A terminal that remembers, of any size. */
export function memoryTerminal(
  size: { columns?: number; rows?: number; messagesToTerminal?: boolean; input?: string } = {},
): MemoryTerminal {
  let out = "";
  let err = "";
  return {
    isTerminal: size.columns !== undefined,
    paint: plain,
    columns: size.columns,
    rows: size.rows,
    readInput: async () => Buffer.from(size.input ?? ""),
    write: async (content) => {
      out += typeof content === "string" ? content : Buffer.from(content).toString();
    },
    messages: {
      isTerminal: size.messagesToTerminal ?? false,
      paint: plain,
      write: (text) => {
        err += text;
      },
    },
    get out() {
      return out;
    },
    get err() {
      return err;
    },
  };
}
