export interface Problem {
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

/** By position, those without one first. */
export function byPosition(one: Problem, other: Problem): number {
  return one.line - other.line || one.column - other.column;
}
