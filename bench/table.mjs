// Rows of figures as one Markdown table that is also readable as text.

const COLUMNS = ["Measured", "Of", "Figure", "p50", "p99", "× nginx + php-fpm", "Aim"];
/** Columns of figures: their right edges line up. */
const RIGHT = new Set([2, 3, 4, 5]);

/** @param rows arrays of text in the order of the columns; what is missing at the end is empty */
export function renderTable(rows) {
  const table = [COLUMNS, ...rows.map((row) => COLUMNS.map((_, at) => row[at] ?? ""))];
  const widths = COLUMNS.map((_, at) => Math.max(...table.map((row) => row[at].length)));
  const line = (cells) => `| ${cells.join(" | ")} |\n`;
  const pad = (text, at) => (RIGHT.has(at) ? text.padStart(widths[at]) : text.padEnd(widths[at]));
  const rule = widths.map((width, at) => (RIGHT.has(at) ? `${"-".repeat(width - 1)}:` : "-".repeat(width)));
  const [head, ...body] = table.map((row) => line(row.map(pad)));
  return head + line(rule) + body.join("");
}

/** "12,345/s" */
export function rate(perSecond) {
  return `${Math.round(perSecond).toLocaleString("en-US")}/s`;
}

export function milliseconds(value) {
  if (value === undefined) return "–";
  return `${value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0)} ms`;
}

export function microseconds(value) {
  return value === undefined ? "–" : `${Math.round(value)} µs`;
}

export function megabytes(bytes) {
  return bytes === undefined ? "–" : `${Math.round(bytes / 1e6)} MB`;
}

/** "1.25", or "" if there is nothing to compare with. */
export function ratio(value, reference) {
  return value === undefined || !reference ? "" : (value / reference).toFixed(2);
}
