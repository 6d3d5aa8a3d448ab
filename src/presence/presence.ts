import { existsSync } from "node:fs";
import { every } from "../async/every.ts";
import { RrError } from "../errors.ts";
import type { Log } from "../log.ts";
import { removeLeftovers } from "./leftovers.ts";
import { isLive, notePath, type RunNote, readNote, removeNote, SLOTS, socketPath, writeNote } from "./run-file.ts";
import { claimRunFolder, type RunSettings } from "./run-folders.ts";
import { runKeys } from "./run-keys.ts";

export interface PresenceOptions {
  readonly configFile: string;
  readonly workingDirectory: string;
  readonly shownDirectory: string | undefined;
  readonly settings: RunSettings;
  /** Others than this user are to get to the socket. */
  readonly isShared: boolean;
  readonly log: Log;
}

/** Programs that tidy up take what has lain there for long. */
const LOOK_EVERY_MS = 30_000;

/** How `rrctl` finds this server by its configuration: a socket, and notes of where it is, in a folder of this user's own. */
export class Presence {
  readonly #options: PresenceOptions;
  readonly #keys: readonly string[][];
  readonly #closed = new AbortController();
  readonly #removeNotes = () => this.#remove();
  #folder: string;
  #notes: string[] = [];
  #note: RunNote | undefined;
  #hasWarned = false;

  private constructor(options: PresenceOptions, folder: string) {
    this.#options = options;
    this.#folder = folder;
    this.#keys = runKeys(options.configFile, options.workingDirectory, options.shownDirectory);
  }

  /** Rejects with FAILED_PRECONDITION: there is no folder for it. */
  static claim(options: PresenceOptions): Presence {
    const claimed = claimRunFolder(options.settings, options.isShared);
    if ("path" in claimed) return new Presence(options, claimed.path);
    throw new RrError(
      "FAILED_PRECONDITION",
      `there is no folder for the control socket: ${claimed.problems.join("; ")}; write control.listen, such as unix:///path`,
    );
  }

  /** Opens the first socket that no other server of this configuration has. */
  async openSocket(open: (path: string) => Promise<unknown>): Promise<string> {
    const [[key]] = this.#keys as [[string]];
    for (let slot = 0; ; slot++) {
      const path = socketPath(this.#folder, key, slot);
      const note = readNote(notePath(this.#folder, key, slot));
      if (slot < SLOTS - 1 && note && (await isLive(note))) continue;
      try {
        await open(path);
        return `unix://${path}`;
      } catch (thrown) {
        // Another one was quicker.
        if (slot >= SLOTS - 1 || !existsSync(path)) throw thrown;
      }
    }
  }

  /** Tells where the server is, and takes away what dead ones have left. */
  async announce(address: string): Promise<void> {
    await removeLeftovers(this.#folder).catch((thrown) =>
      this.#options.log.warn({ event: "control.run_file" }, `cannot tidy up ${this.#folder}: ${String(thrown)}`),
    );
    this.#note = { pid: process.pid, address, configFile: this.#options.configFile };
    for (const key of this.#keys.flat()) this.#notes.push(await this.#placeFor(key, this.#note));
    process.once("exit", this.#removeNotes);
    // A disk that is full keeps nobody from serving: the address still reaches the server.
    for (const path of this.#notes) this.#write(path, this.#note);
    every(
      LOOK_EVERY_MS,
      this.#closed.signal,
      () => this.#restore(),
      (thrown) => this.#warn(thrown),
    );
  }

  close(): void {
    this.#closed.abort();
    process.off("exit", this.#removeNotes);
    this.#remove();
  }

  /** The first place that belongs to nobody who lives. */
  async #placeFor(key: string, note: RunNote): Promise<string> {
    for (let slot = 0; ; slot++) {
      const path = notePath(this.#folder, key, slot);
      const other = readNote(path);
      if (slot < SLOTS - 1 && other && other.address !== note.address && (await isLive(other))) continue;
      return path;
    }
  }

  /** What cannot be written is tried again later. */
  #write(path: string, note: RunNote): void {
    try {
      writeNote(path, note);
      this.#hasWarned = false;
    } catch (thrown) {
      this.#warn(thrown);
    }
  }

  /** Once: that nothing has changed is told by nothing. */
  #warn(thrown: unknown): void {
    if (this.#hasWarned) return;
    this.#hasWarned = true;
    const { message } = thrown as Error;
    const text = `rrctl may not find this server, name it with --address ${this.#note?.address}: ${message}`;
    this.#options.log.warn({ event: "control.run_file" }, text);
  }

  #restore(): void {
    const { settings, isShared } = this.#options;
    if (this.#note === undefined || this.#notes.every((path) => readNote(path))) return;
    claimRunFolder(settings, isShared);
    for (const path of this.#notes) if (!readNote(path)) this.#write(path, this.#note);
  }

  #remove(): void {
    for (const path of this.#notes) removeNote(path, process.pid);
  }
}
