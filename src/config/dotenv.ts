/**
 * NAME=value lines as .env files have them: blank lines and # comments, an optional `export`, values bare, in single
 * quotes (as they are) or in double quotes (with \n, \t, \" and \\).
 */
export function parseDotenv(text: string): Record<string, string> {
  const values: Record<string, string> = {};
  for (const line of text.split(/\r?\n/)) {
    const match = /^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_.]*)\s*=\s*(.*)$/.exec(line);
    if (match) values[match[1]!] = dotenvValue(match[2]!.trim());
  }
  return values;
}

function dotenvValue(raw: string): string {
  const single = /^'([^']*)'/.exec(raw);
  if (single) return single[1]!;
  const double = /^"((?:[^"\\]|\\.)*)"/.exec(raw);
  if (double) return double[1]!.replace(/\\(.)/g, (_all, character: string) => ESCAPES[character] ?? character);
  return raw.replace(/\s+#.*$/, "");
}

const ESCAPES: Record<string, string> = { n: "\n", r: "\r", t: "\t" };
