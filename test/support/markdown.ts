import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "./php.ts";

/** A fenced block of a page. */
export interface Block {
  language: string;
  text: string;
  line: number;
  /** In the comment before the block: "run", or "run if: <shell command>". */
  mark: string | undefined;
}

/** @param page its path from the root of the repository */
export function blocksOf(page: string): Block[] {
  const text = readFileSync(join(ROOT, page), "utf8");
  const found = text.matchAll(/(?:^<!-- (run.*?) -->\n)?^```(\w*)\n([\s\S]*?)^```$/gm);
  return [...found].map((match) => ({
    mark: match[1],
    language: match[2]!,
    text: match[3]!,
    line: text.slice(0, match.index).split("\n").length,
  }));
}
