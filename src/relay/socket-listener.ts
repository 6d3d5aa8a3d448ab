import type { Socket } from "node:net";
import { FloodLimit } from "../async/flood-limit.ts";
import { systemClock } from "../clock.ts";
import type { WorkerProtocol } from "../goridge/worker-protocol.ts";
import type { Fields, Log } from "../log.ts";
import type { Address } from "../net/address.ts";
import { StreamServer } from "../net/stream-server.ts";
import type { SocketRights } from "../net/unix-socket.ts";
import type { ConnectionEnds, PeerProof } from "./peer-process.ts";
import type { Relay } from "./relay.ts";
import { StreamRelay } from "./stream-relay.ts";

/** A connection that does not say who it is within this time is closed. */
const INTRODUCTION_MS = 5_000;
/** Connections that have not said who they are; of more the oldest are closed. */
const STRANGERS_MAX = 1_000;

/** Strangers can cause a line in the log so often. */
const REFUSALS = { burst: 1, intervalMs: 1_000 };

/** Whether a connection is that of a process. */
export type ProvePeer = (ends: ConnectionEnds, pid: number) => Promise<PeerProof>;

const TAKES_ITS_WORD: ProvePeer = async () => "unknown";

/**
 * The server's end of unix and tcp relays. Workers connect to it when they are ready; the answer to the pid message
 * tells which process a connection belongs to, and the system is asked whether that is true: whoever may connect could
 * name the process of a worker that is about to. Connections introduce themselves side by side: a silent one delays
 * nobody.
 */
export class SocketListener {
  #server: StreamServer | undefined;
  readonly #protocol: WorkerProtocol;
  readonly #log: Log;
  readonly #expected = new Map<number, (relay: Relay) => void>();
  /** A worker may connect before its spawner has asked for it. */
  readonly #early = new Map<number, Socket>();
  readonly #prove: ProvePeer;
  /** Oldest first. */
  readonly #strangers = new Set<Socket>();
  readonly #refusals: FloodLimit<{ fields: Fields; message: string }>;

  private constructor(protocol: WorkerProtocol, log: Log, prove: ProvePeer) {
    this.#protocol = protocol;
    this.#log = log;
    this.#prove = prove;
    this.#refusals = new FloodLimit(systemClock, REFUSALS, ({ fields, message }, leftOut) =>
      log.warn(fields, leftOut === 0 ? message : `${message} (and ${leftOut} more like this before)`),
    );
  }

  /**
   * @param rights who may connect to a unix socket: the user of the workers
   * @param prove asked of every connection; what it does not know is believed
   */
  static async open(
    address: Address,
    rights: SocketRights,
    protocol: WorkerProtocol,
    log: Log,
    prove: ProvePeer = TAKES_ITS_WORD,
  ): Promise<SocketListener> {
    const listener = new SocketListener(protocol, log, prove);
    listener.#server = await StreamServer.open({
      what: "workers",
      key: "server.relay",
      reason: "BOOT_FAILED",
      address,
      rights,
      accept: (socket) => listener.#introduce(socket),
      lost: (message) => log.warn({ event: "server.socket_lost" }, message),
    });
    return listener;
  }

  /** The relay of the worker with this pid, once it has connected. The caller bounds the wait by `forget`. */
  expect(pid: number): Promise<Relay> {
    const early = this.#early.get(pid);
    if (early) {
      this.#early.delete(pid);
      return Promise.resolve(new StreamRelay(early, early));
    }
    return new Promise((resolve) => this.#expected.set(pid, resolve));
  }

  forget(pid: number): void {
    this.#expected.delete(pid);
    this.#early.get(pid)?.destroy();
    this.#early.delete(pid);
  }

  close(): void {
    this.#server?.close();
    for (const socket of [...this.#early.values(), ...this.#strangers]) socket.destroy();
  }

  #introduce(socket: Socket): void {
    socket.setNoDelay(true);
    socket.on("error", () => {});
    this.#strangers.add(socket);
    if (this.#strangers.size > STRANGERS_MAX) {
      const [oldest] = this.#strangers;
      this.#strangers.delete(oldest!);
      oldest!.destroy();
    }
    const timer = setTimeout(() => {
      const message = `a connection to the relay did not introduce itself within ${INTRODUCTION_MS} ms and was closed`;
      this.#refusals.add("silent", { fields: {}, message });
      socket.destroy();
    }, INTRODUCTION_MS);
    socket.once("close", () => {
      clearTimeout(timer);
      this.#strangers.delete(socket);
    });
    const refuse = () => socket.destroy();
    const onData = (chunk: Buffer) => reader.push(chunk);
    const reader = this.#protocol.createReader(
      {
        introduced: (pid) => {
          clearTimeout(timer);
          socket.off("data", onData);
          socket.pause();
          void this.#introduced(pid, socket);
        },
        reply: refuse,
        replyContinues: refuse,
        error: refuse,
        stray: refuse,
        violation: refuse,
      },
      1024,
    );
    socket.on("data", onData);
    socket.write(this.#protocol.encodePid(process.pid));
  }

  async #introduced(pid: number, socket: Socket): Promise<void> {
    const proof = await this.#prove(socket, pid);
    this.#strangers.delete(socket);
    if (socket.destroyed) return;
    if (proof === "refuted") {
      const message = `a connection to the relay that said it was process ${pid}, but is not, was closed`;
      this.#refusals.add("refuted", { fields: { pid }, message });
      socket.destroy();
      return;
    }
    const found = this.#expected.get(pid);
    if (found) {
      this.#expected.delete(pid);
      found(new StreamRelay(socket, socket));
    } else this.#keepEarly(pid, socket);
  }

  #keepEarly(pid: number, socket: Socket): void {
    if (this.#early.has(pid) || this.#early.size >= STRANGERS_MAX) {
      socket.destroy();
      return;
    }
    this.#early.set(pid, socket);
    const timer = setTimeout(() => {
      if (this.#early.get(pid) === socket) this.forget(pid);
    }, INTRODUCTION_MS);
    timer.unref();
    socket.once("close", () => {
      clearTimeout(timer);
      if (this.#early.get(pid) === socket) this.#early.delete(pid);
    });
    this.#log.debug({ pid }, `process ${pid} connected to the relay before it was asked for`);
  }
}
