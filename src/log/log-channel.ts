import {
  close,
  constants,
  fstat,
  fstatSync,
  mkdirSync,
  openSync,
  open as openWithCallback,
  type Stats,
  write,
  writeSync,
} from "node:fs";
import { mkdir, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { promisify } from "node:util";

/** A place where lines go, open. */
export interface LogChannel {
  /** Bytes of one write: what several processes write to a pipe stays whole up to its PIPE_BUF. */
  readonly batchBytesMax: number;
  /** Writes at least one byte; says how many. Rejects with EAGAIN if its reader has to read first. */
  write(bytes: Buffer): Promise<number>;
  /** The same at once, for the end of the process. Never waits for a reader. */
  writeNow(bytes: Buffer): number;
  /** Whether what now has the name is something else: it was moved, removed or replaced. */
  outdated(): Promise<boolean>;
  close(): void;
}

/** Where lines go. Opening never waits for a reader. */
export interface LogPlace {
  /** As the configuration names it. */
  readonly name: string;
  open(): Promise<LogChannel>;
  openNow(): LogChannel;
}

const FILE_BATCH_BYTES = 64 * 1024;
const PIPE_BATCH_BYTES = 4096;
/** Without O_NONBLOCK a fifo without a reader would hold the open, and a full one every write, for ever. */
const APPEND = constants.O_WRONLY | constants.O_APPEND | (constants.O_NONBLOCK ?? 0) | (constants.O_NOCTTY ?? 0);
const NEW_FILE_MODE = 0o666;

const openFile = promisify(openWithCallback);
const statOf = promisify(fstat) as (fd: number) => Promise<Stats>;

/** A file, a fifo or a device, by its path. Folders that are missing are made. */
export function filePlace(path: string): LogPlace {
  const flags = APPEND | constants.O_CREAT;
  return {
    name: path,
    open: async () => {
      await mkdir(dirname(path), { recursive: true });
      const fd = await openFile(path, flags, NEW_FILE_MODE);
      return new DescriptorChannel(fd, await statOf(fd), path);
    },
    openNow: () => {
      mkdirSync(dirname(path), { recursive: true });
      const fd = openSync(path, flags, NEW_FILE_MODE);
      return new DescriptorChannel(fd, fstatSync(fd), path);
    },
  };
}

/**
 * A standard stream that was inherited. Pipes and terminals are opened anew where the system can do that: whether writing
 * may wait is a property that all who inherited it share, and it is not ours to change for the others.
 */
export function standardPlace(name: "stdout" | "stderr"): LogPlace {
  const fd = name === "stdout" ? 1 : 2;
  const openNow = (): LogChannel => {
    const stats = fstatSync(fd);
    if (stats.isFile()) return new DescriptorChannel(fd, stats, undefined);
    if (process.platform !== "linux" || stats.isSocket()) return new StreamChannel(process[name], fd);
    try {
      return new DescriptorChannel(openSync(`/proc/self/fd/${fd}`, APPEND), stats, undefined);
    } catch (thrown) {
      // Nobody reads the other end.
      if ((thrown as NodeJS.ErrnoException).code === "ENXIO") throw thrown;
      // It belongs to another user, or /proc is not there.
      return new StreamChannel(process[name], fd);
    }
  };
  return { name, open: async () => openNow(), openNow };
}

class DescriptorChannel implements LogChannel {
  readonly batchBytesMax: number;
  readonly #fd: number;
  readonly #stats: Stats;
  /** Undefined for a standard stream. */
  readonly #path: string | undefined;

  constructor(fd: number, stats: Stats, path: string | undefined) {
    this.#fd = fd;
    this.#stats = stats;
    this.#path = path;
    this.batchBytesMax = stats.isFile() ? FILE_BATCH_BYTES : PIPE_BATCH_BYTES;
  }

  write(bytes: Buffer): Promise<number> {
    return new Promise((resolve, reject) => {
      write(this.#fd, bytes, 0, bytes.length, null, (error, written) => (error ? reject(error) : resolve(written)));
    });
  }

  writeNow(bytes: Buffer): number {
    return writeSync(this.#fd, bytes);
  }

  async outdated(): Promise<boolean> {
    if (this.#path === undefined) return false;
    try {
      const { dev, ino } = await stat(this.#path);
      return dev !== this.#stats.dev || ino !== this.#stats.ino;
    } catch {
      return true;
    }
  }

  close(): void {
    if (this.#fd > 2) close(this.#fd, () => {});
  }
}

interface StreamWithHandle extends NodeJS.WriteStream {
  readonly _handle?: { setBlocking?(wait: boolean): unknown } | null;
}

/** Node's own stream, where the descriptor cannot be opened anew: sockets, as journald's, and other systems. */
class StreamChannel implements LogChannel {
  readonly batchBytesMax = PIPE_BATCH_BYTES;
  readonly #stream: NodeJS.WriteStream;
  readonly #fd: number;

  constructor(stream: NodeJS.WriteStream, fd: number) {
    this.#stream = stream;
    this.#fd = fd;
    // What fails is told to who wrote; without a listener it would end the process.
    if (stream.listenerCount("error") === 0) stream.on("error", () => {});
  }

  write(bytes: Buffer): Promise<number> {
    this.#neverWait();
    return new Promise((resolve, reject) => {
      this.#stream.write(bytes, (error) => (error ? reject(error) : resolve(bytes.length)));
    });
  }

  writeNow(bytes: Buffer): number {
    this.#neverWait();
    return writeSync(this.#fd, bytes);
  }

  /**
   * Whether writing to a socket waits for its reader is shared with all who inherited it, and each Node process that ends
   * (a frontend) gives back what it found at its start: that writing waits. Nothing but the handle can undo that.
   */
  #neverWait(): void {
    if (this.#stream.isTTY) return;
    (this.#stream as StreamWithHandle)._handle?.setBlocking?.(false);
  }

  outdated(): Promise<boolean> {
    return Promise.resolve(false);
  }

  close(): void {}
}
