import type { Failure } from "../failure.ts";
import type { Paint } from "./colour.ts";

export type JsonValue = null | boolean | number | string | JsonValue[] | JsonObject;
export type JsonObject = { [key: string]: JsonValue };

export const OUTPUT_FORMATS = ["table", "json", "yaml"] as const;
export type OutputFormat = (typeof OUTPUT_FORMATS)[number];

/** What a text is rendered for. */
export interface Page {
  paint: Paint;
  /** Width of the terminal; undefined where output goes elsewhere. */
  columns: number | undefined;
  nowMs: number;
}

/** What a command has to say, once for programs and once for people. The printer chooses by format. */
export interface Document {
  data: JsonValue;
  /** Its YAML, where that is another than the data's. */
  yaml?: string;
  /** Bytes are written as they are. */
  text(page: Page): string | Uint8Array;
  /** Parts of the work that failed: said on stderr after the text; the first one gives the exit code. */
  failures?: Failure[];
}

/** Documents that come over time. */
export interface Feed {
  documents: AsyncIterable<Document>;
  /** Each stands for the one before: on a terminal it is drawn in its place. */
  redraw: boolean;
}

export type Output = Document | Feed;

export function isOutputFormat(name: string): name is OutputFormat {
  return (OUTPUT_FORMATS as readonly string[]).includes(name);
}
