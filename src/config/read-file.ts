import { readFileSync } from "node:fs";
import { systemErrorCode } from "../errors.ts";

/** Reads a file of UTF-8 text; `error` names it and says why it cannot. */
export type FileReader = (path: string) => { readonly text: string } | { readonly error: string };

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: "does not exist",
  ENOTDIR: "does not exist: a part of its path is no directory",
  EISDIR: "is a directory, not a file",
  EACCES: "may not be read by this user",
};

export const readTextFile: FileReader = (path) => {
  try {
    return { text: readFileSync(path, "utf8") };
  } catch (thrown) {
    const code = systemErrorCode(thrown) ?? String(thrown);
    return { error: `the file ${path} ${REASONS[code] ?? `cannot be read: ${code}`}` };
  }
};
