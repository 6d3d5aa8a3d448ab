import { every } from "../async/every.ts";
import { lookAtSocketPath, type PlacedSocket, placeSocket, type SocketRights } from "./unix-socket.ts";

export interface KeptSocketOptions {
  readonly path: string;
  readonly rights: SocketRights;
  /** Listens at the path that it is given; called again when the socket has to be made anew. */
  readonly bind: (temporaryPath: string) => Promise<void>;
  /** The folder may be gone as well. */
  readonly makeFolder?: () => void;
  /** Called, with a sentence, when the socket was removed by somebody: whether it is there again, and why not. */
  readonly lost: (message: string, restored: boolean) => void;
}

/** How often it is looked whether the socket is still there. */
export const LOOK_EVERY_MS = 2_000;

/**
 * A socket in the file system that stays where it is: programs that tidy up temporary files remove sockets of servers that
 * live. Then another one is bound to the path; connections that are there go on.
 */
export class KeptSocket {
  readonly #options: KeptSocketOptions;
  readonly #closed = new AbortController();
  #placed: PlacedSocket;
  /** What keeps it from being there again, told already. */
  #problem = "";
  #restoring: Promise<boolean> | undefined;

  private constructor(options: KeptSocketOptions, placed: PlacedSocket) {
    this.#options = options;
    this.#placed = placed;
    every(
      LOOK_EVERY_MS,
      this.#closed.signal,
      async () => void (await this.restore()),
      () => {},
    );
  }

  /** Rejects as `placeSocket` does. */
  static async open(options: KeptSocketOptions): Promise<KeptSocket> {
    return new KeptSocket(options, await placeSocket(options.path, options.rights, options.bind));
  }

  get path(): string {
    return this.#options.path;
  }

  /** Makes sure that the socket is there. False: it is not, as `lost` was told. Never rejects. */
  restore(): Promise<boolean> {
    if (this.#closed.signal.aborted) return Promise.resolve(false);
    if (this.#placed.isInPlace) return Promise.resolve(true);
    this.#restoring ??= this.#restore().finally(() => {
      this.#restoring = undefined;
    });
    return this.#restoring;
  }

  /** Removes the socket, if it is this one, and looks after it no more. Whoever listens on it is closed by the caller, after this. */
  close(): void {
    this.#closed.abort();
    this.#placed.remove();
  }

  async #restore(): Promise<boolean> {
    const { path, rights, bind, makeFolder, lost } = this.#options;
    try {
      makeFolder?.();
      this.#placed = await placeSocket(path, rights, bind);
    } catch (thrown) {
      const problem = await this.#reason(thrown);
      if (problem !== this.#problem)
        lost(`the socket ${path} was removed, and cannot be made again: ${problem}`, false);
      this.#problem = problem;
      return false;
    }
    this.#problem = "";
    // The end came meanwhile.
    if (this.#closed.signal.aborted) this.#placed.remove();
    else lost(`the socket ${path} was removed by somebody, and was made again`, true);
    return true;
  }

  async #reason(thrown: unknown): Promise<string> {
    const found = await lookAtSocketPath(this.#options.path).catch(() => undefined);
    if (found && "problem" in found) return found.problem;
    return thrown instanceof Error ? thrown.message : String(thrown);
  }
}
