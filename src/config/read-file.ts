import { closeSync, constants, fstatSync, openSync, readFileSync, readSync } from "node:fs";
import { systemErrorCode } from "../errors.ts";

/**
 * Reads a file of UTF-8 text; `error` names it and says why it cannot. `unread`: nobody looked, and nothing is known of
 * the file.
 */
export type FileReader = (
  path: string,
) => { readonly text: string } | { readonly error: string; readonly unread?: boolean };

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: "does not exist",
  ENOTDIR: "does not exist: a part of its path is no directory",
  EISDIR: "is a directory, not a file",
  EACCES: "may not be read by this user",
  ELOOP: "is a link that leads to itself",
  ENXIO: "is no file: name one that holds text",
};

/** What Composer installed can have megabytes; everything else that is read here is smaller by far. */
const FILE_BYTES_MAX = 32 * 1024 * 1024;
/** What a shell makes of `<(command)` and `-`: the one who names it has something to say there. */
const INHERITED = /^\/(?:dev\/(?:fd\/\d+|stdin)|proc\/self\/fd\/\d+)$/;

/** Reads files alone: a pipe would hold up the whole process, a device has no end. */
export const readTextFile: FileReader = (path) => {
  try {
    return INHERITED.test(path) ? { text: readFileSync(path, "utf8") } : readRegularFile(path);
  } catch (thrown) {
    const code = systemErrorCode(thrown) ?? String(thrown);
    return { error: `the file ${path} ${REASONS[code] ?? `cannot be read: ${code}`}` };
  }
};

function readRegularFile(path: string): ReturnType<FileReader> {
  // To open a pipe without this waits for whoever writes to it.
  const fd = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0) | (constants.O_NOCTTY ?? 0));
  try {
    const stat = fstatSync(fd);
    if (stat.isDirectory()) return { error: `the file ${path} ${REASONS.EISDIR}` };
    if (!stat.isFile()) return { error: `the file ${path} is a pipe, a socket or a device: name one that holds text` };
    const pieces: Buffer[] = [];
    let bytes = 0;
    // The size may be a lie, as that of the files in /proc.
    for (;;) {
      const piece = Buffer.allocUnsafe(64 * 1024);
      const length = readSync(fd, piece, 0, piece.length, null);
      if (length === 0) return { text: Buffer.concat(pieces).toString("utf8") };
      bytes += length;
      if (bytes > FILE_BYTES_MAX)
        return {
          error: `the file ${path} is larger than ${FILE_BYTES_MAX / 1024 / 1024} MB: name one that holds text`,
        };
      pieces.push(piece.subarray(0, length));
    }
  } finally {
    closeSync(fd);
  }
}

/** For configurations that someone hands in: what the server can read is none of their business. */
export const readNothing: FileReader = (path) => ({
  error: `${path} was not read: a configuration that is handed in is checked by its text alone`,
  unread: true,
});
