import { interpolate } from "./interpolation.ts";

const ESCAPES: Readonly<Record<string, string>> = { n: "\n", r: "\r", t: "\t" };
const ASSIGNMENT = /^(?:export\s+)?([A-Za-z_][A-Za-z0-9_.]*)\s*[=:]\s*/;
const DOUBLE_QUOTED = /^"((?:[^"\\]|\\[\s\S])*)"/;

export interface Dotenv {
  readonly values: Readonly<Record<string, string>>;
  /** Lines, from 1, that are no NAME=value. */
  readonly badLines: readonly number[];
}

/**
 * NAME=value lines as .env files have them: blank lines and # comments, an optional `export`, values bare, in single
 * quotes (as they are) or in double quotes (with \n, \t, \" and \\); quoted ones may span lines. Variables are replaced
 * outside single quotes, by those of `env` or values above.
 */
export function parseDotenv(text: string, env: Readonly<Record<string, string | undefined>> = {}): Dotenv {
  const values: Record<string, string> = {};
  const badLines: number[] = [];
  const lines = text.replace(/^\uFEFF/, "").split(/\r?\n/);
  for (let index = 0; index < lines.length; index++) {
    // What stands at the end may belong to a value in quotes that goes on in the next line.
    const line = lines[index]!.trimStart();
    if (line === "" || line.startsWith("#")) continue;
    const assignment = ASSIGNMENT.exec(line);
    const written = assignment && writtenValue(line.slice(assignment[0].length), lines.slice(index + 1));
    if (!assignment || !written) {
      badLines.push(index + 1);
      continue;
    }
    const expand = (value: string) => interpolate(value, { ...values, ...env }).text;
    values[assignment[1]!] = meaningOf(written.raw, expand);
    index += written.furtherLines;
  }
  return { values, badLines };
}

/** The value with its quotes, to the line where they close. Undefined if they never do. */
function writtenValue(start: string, below: readonly string[]): { raw: string; furtherLines: number } | undefined {
  let raw = start;
  for (let furtherLines = 0; ; furtherLines++) {
    const closed = raw.startsWith('"') ? DOUBLE_QUOTED.test(raw) : !raw.startsWith("'") || raw.indexOf("'", 1) > 0;
    if (closed) return { raw, furtherLines };
    if (furtherLines >= below.length) return undefined;
    raw += `\n${below[furtherLines]}`;
  }
}

function meaningOf(raw: string, expand: (value: string) => string): string {
  if (raw.startsWith("'")) return raw.slice(1, raw.indexOf("'", 1));
  const double = DOUBLE_QUOTED.exec(raw)?.[1];
  if (double === undefined) return expand(raw.startsWith("#") ? "" : raw.replace(/\s+#.*$/, "").trimEnd());
  // Piece by piece: in "\$NAME" the dollar sign means itself.
  return double
    .split(/(\\[\s\S])/)
    .map((part) => (part.startsWith("\\") ? (ESCAPES[part[1]!] ?? part[1]!) : expand(part)))
    .join("");
}
