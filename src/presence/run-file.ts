import { closeSync, constants, fstatSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { systemErrorCode } from "../errors.ts";

/** What a running server tells those who look for it. Nothing of it is a secret. */
export interface RunNote {
  readonly pid: number;
  /** Where local programs reach it: "unix:///path". */
  readonly address: string;
  readonly configFile: string;
}

/** Servers of one configuration at the same time. */
export const SLOTS = 16;
const NOTE_BYTES_MAX = 64 * 1024;

export function notePath(folder: string, key: string, slot: number): string {
  return join(folder, `${slotName(key, slot)}.json`);
}

export function socketPath(folder: string, key: string, slot: number): string {
  return join(folder, `${slotName(key, slot)}.sock`);
}

function slotName(key: string, slot: number): string {
  return slot === 0 ? key : `${key}-${slot + 1}`;
}

/** Whole or not at all, whoever reads meanwhile. */
export function writeNote(path: string, note: RunNote): void {
  const temporary = `${path}.${process.pid}`;
  try {
    writeFileSync(temporary, `${JSON.stringify(note)}\n`, { mode: 0o644 });
    renameSync(temporary, path);
  } catch (thrown) {
    rmSync(temporary, { force: true, recursive: true });
    throw thrown;
  }
}

/** Undefined: there is none, or it is none of ours. */
export function readNote(path: string): RunNote | undefined {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0) | (constants.O_NOFOLLOW ?? 0));
  } catch {
    return undefined;
  }
  try {
    const stats = fstatSync(fd);
    if (!stats.isFile() || stats.size > NOTE_BYTES_MAX) return undefined;
    const { pid, address, configFile } = JSON.parse(readFileSync(fd, "utf8")) as Partial<RunNote>;
    if (typeof pid !== "number" || typeof address !== "string" || typeof configFile !== "string") return undefined;
    return address.startsWith("unix:///") ? { pid, address, configFile } : undefined;
  } catch {
    return undefined;
  } finally {
    closeSync(fd);
  }
}

/** Unless another server has taken its place. */
export function removeNote(path: string, pid: number): void {
  if (readNote(path)?.pid === pid) rmSync(path, { force: true });
}

/** Whether somebody listens. One that may not be asked may well live. */
export function isLive({ address }: RunNote): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(address.slice("unix://".length));
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", (error) => resolve(!["ECONNREFUSED", "ENOENT"].includes(systemErrorCode(error) ?? "")));
  });
}
