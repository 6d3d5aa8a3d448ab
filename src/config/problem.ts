/** Something that is wrong with a configuration, or has no effect. */
export interface Problem {
  /** Name of the file, or "-o key=value". */
  readonly file: string;
  /** From 1; 0: no place in the file. */
  readonly line: number;
  readonly column: number;
  /** Path of the key, with dots; "": the file as a whole. */
  readonly path: string;
  readonly message: string;
  readonly severity: "error" | "warning";
}

/** "file:line:column: path: message" */
export function problemText({ file, line, column, path, message }: Problem): string {
  const place = line > 0 ? `${file}:${line}:${column}` : file;
  return `${place}: ${path === "" ? "" : `${path}: `}${message}`;
}

/** By file and position; what has no position stands first. */
export function byPosition(one: Problem, other: Problem): number {
  return (
    Number(one.line > 0) - Number(other.line > 0) ||
    compare(one.file, other.file) ||
    one.line - other.line ||
    one.column - other.column
  );
}

function compare(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}
