import { closeSync, constants, fstatSync, openSync, readFileSync, type Stats, statSync } from "node:fs";
import { systemErrorCode } from "../errors.ts";
import type { Log } from "../log.ts";
import { findToken, parseTokens, type TokenEntry } from "./token-file.ts";

const FILE_BYTES_MAX = 1024 * 1024;

/** The tokens of a file, as it is now: it is looked at with every call that shows one. */
export class TokenStore {
  readonly #file: string;
  readonly #log: Log;
  #entries: readonly TokenEntry[] = [];
  /** What the file was like when it was read. */
  #version = "";

  constructor(file: string, log: Log) {
    this.#file = file;
    this.#log = log;
  }

  /** Undefined: nobody has such a token. A file that cannot be used makes all tokens worthless. */
  find(token: string): TokenEntry | undefined {
    this.#refresh();
    return findToken(this.#entries, token);
  }

  #refresh(): void {
    const version = versionOf(this.#file);
    if (version === this.#version) return;
    this.#version = version;
    const read = readTokenFile(this.#file);
    this.#entries = "problem" in read ? [] : read.entries;
    if ("problem" in read) this.#log.error({ event: "control.tokens" }, `no token is accepted: ${read.problem}`);
    else
      this.#log.info(
        { event: "control.tokens", tokens: read.entries.length },
        `${this.#file} was read: callers' tokens`,
      );
  }
}

function versionOf(file: string): string {
  try {
    const { dev, ino, size, mtimeMs, ctimeMs } = statSync(file);
    return [dev, ino, size, mtimeMs, ctimeMs].join(":");
  } catch (thrown) {
    return systemErrorCode(thrown) ?? String(thrown);
  }
}

/** The tokens in a file, or why it cannot be trusted. What stands in it is never repeated. */
export function readTokenFile(file: string): { entries: readonly TokenEntry[] } | { problem: string } {
  let fd: number;
  try {
    fd = openSync(file, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  } catch (thrown) {
    const code = systemErrorCode(thrown) ?? String(thrown);
    const why = code === "ENOENT" ? "does not exist: `rrctl token create` makes it" : `cannot be read (${code})`;
    return { problem: `the file of tokens ${file} ${why}` };
  }
  try {
    const problem = fileProblem(fstatSync(fd));
    if (problem !== undefined) return { problem: `the file of tokens ${file} ${problem}` };
    const { entries, problems } = parseTokens(readFileSync(fd, "utf8"));
    const [first] = problems;
    return first === undefined ? { entries } : { problem: `${file}:${first.line}: ${first.message}` };
  } finally {
    closeSync(fd);
  }
}

/** Whoever may write the file makes himself an admin. */
function fileProblem(stat: Stats): string | undefined {
  if (!stat.isFile()) return "is no file";
  if (stat.size > FILE_BYTES_MAX) return `is larger than ${FILE_BYTES_MAX} bytes`;
  // Windows has neither.
  const uid = process.getuid?.();
  if (uid === undefined) return undefined;
  if (stat.uid !== uid && stat.uid !== 0) return "belongs to another user: only its own or root's is trusted";
  if ((stat.mode & 0o027) === 0) return undefined;
  return `may be used by others (its mode is 0${(stat.mode & 0o777).toString(8)}): chmod 600, or 640 for its group to read`;
}
