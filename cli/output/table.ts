import { type Colour, type Paint, plain } from "./colour.ts";
import { printable, textWidth, truncate } from "./format.ts";

export interface Column {
  header: string;
  /** Numbers are easier to compare with their units below each other. */
  align?: "left" | "right";
}

/** What stands in a cell: text, or text in a colour. */
export type Cell = string | { text: string; colour: Colour };

export interface TableOptions {
  paint?: Paint;
  /** Terminal columns at hand: the last column is cut to fit. Absent: no limit, as for files and pipes. */
  columns?: number | undefined;
}

const GAP = "  ";

/** Aligned columns under a header line; ends with a line break. Cells are made printable. */
export function renderTable(
  columns: readonly Column[],
  rows: readonly (readonly Cell[])[],
  options: TableOptions = {},
): string {
  const paint = options.paint ?? plain;
  const texts = rows.map((row) => columns.map((_, index) => printable(textOf(row[index] ?? ""))));
  const widths = columns.map((column, index) =>
    Math.max(textWidth(column.header), ...texts.map((row) => textWidth(row[index]!))),
  );
  const last = columns.length - 1;
  if (options.columns !== undefined) {
    const others = widths.slice(0, last).reduce((sum, width) => sum + width + GAP.length, 0);
    widths[last] = Math.min(widths[last]!, Math.max(textWidth(columns[last]!.header), options.columns - others));
  }
  const line = (cells: readonly string[], colourOf: (index: number) => Colour | undefined) =>
    cells
      .map((cell, index) => {
        const text = index === last ? truncate(cell, widths[index]!) : cell;
        const padding = " ".repeat(Math.max(0, widths[index]! - textWidth(text)));
        const colour = colourOf(index);
        // The padding stays outside of the colour, so that nothing but text is ever underlined or inverted.
        const painted = colour === undefined ? text : paint(colour, text);
        if (columns[index]!.align === "right") return padding + painted;
        return index === last ? painted : painted + padding;
      })
      .join(GAP)
      .trimEnd();
  const lines = [
    line(
      columns.map((column) => column.header),
      () => "bold",
    ),
  ];
  for (const [index, row] of texts.entries()) lines.push(line(row, (cell) => colourOf(rows[index]![cell])));
  return `${lines.join("\n")}\n`;
}

/** Names on the left, values on the right, one pair a line. */
export function renderPairs(pairs: readonly (readonly [name: string, value: Cell])[], paint: Paint = plain): string {
  const width = Math.max(...pairs.map(([name]) => textWidth(name)));
  return pairs
    .map(([name, value]) => {
      const text = printable(textOf(value));
      const colour = colourOf(value);
      const padded = name + " ".repeat(width - textWidth(name));
      return `${paint("bold", padded)}${GAP}${colour === undefined ? text : paint(colour, text)}`.trimEnd();
    })
    .map((pair) => `${pair}\n`)
    .join("");
}

function textOf(cell: Cell): string {
  return typeof cell === "string" ? cell : cell.text;
}

function colourOf(cell: Cell | undefined): Colour | undefined {
  return typeof cell === "object" ? cell.colour : undefined;
}
