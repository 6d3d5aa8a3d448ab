import { stringify } from "yaml";
import type { JsonValue } from "./output.ts";

/** One document; those of a feed are set apart by "---". */
export function renderYaml(data: JsonValue, ofFeed = false): string {
  return (ofFeed ? "---\n" : "") + stringify(data, { lineWidth: 0 });
}
