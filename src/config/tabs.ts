/** Widths that editors give to tabs, most likely first. */
const WIDTHS = [2, 4, 8];

interface ExpandedTabs {
  /** Where lines are indented with tabs. */
  readonly places: readonly { line: number; column: number }[];
  /** The text with spaces in place of those tabs, in several widths, and where its columns were before. */
  readonly candidates: readonly { text: string; originalColumn: (line: number, column: number) => number }[];
}

export function expandTabs(text: string): ExpandedTabs {
  const lines = text.split("\n");
  const indents = lines.map((line) => /^[ \t]*(?=[^\s#])/.exec(line)?.[0] ?? "");
  const places = indents.flatMap((indent, index) => {
    const tab = indent.indexOf("\t");
    return tab < 0 ? [] : [{ line: index + 1, column: tab + 1 }];
  });
  const candidates = WIDTHS.map((width) => {
    const expanded = indents.map((indent) => indent.replaceAll("\t", " ".repeat(width)));
    return {
      text: lines.map((line, index) => expanded[index] + line.slice(indents[index]!.length)).join("\n"),
      originalColumn: (line: number, column: number) =>
        Math.max(1, column - expanded[line - 1]!.length + indents[line - 1]!.length),
    };
  });
  return { places, candidates };
}
