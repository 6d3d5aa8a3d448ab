import type { Socket } from "node:net";
import type { WorkerProtocol } from "../goridge/worker-protocol.ts";
import type { Log } from "../log.ts";
import type { Address } from "../net/address.ts";
import { StreamServer } from "../net/stream-server.ts";
import type { SocketRights } from "../net/unix-socket.ts";
import type { Relay } from "./relay.ts";
import { StreamRelay } from "./stream-relay.ts";

/** A connection that does not say who it is within this time is closed. */
const INTRODUCTION_MS = 5_000;

/**
 * The server's end of unix and tcp relays. Workers connect to it when they are ready; the answer to the pid message
 * tells which process a connection belongs to. Connections introduce themselves side by side: a silent one delays
 * nobody.
 */
export class SocketListener {
  #server: StreamServer | undefined;
  readonly #protocol: WorkerProtocol;
  readonly #log: Log;
  readonly #expected = new Map<number, (relay: Relay) => void>();
  /** A worker may connect before its spawner has asked for it. */
  readonly #early = new Map<number, Socket>();

  private constructor(protocol: WorkerProtocol, log: Log) {
    this.#protocol = protocol;
    this.#log = log;
  }

  /** @param rights who may connect to a unix socket: the user of the workers */
  static async open(
    address: Address,
    rights: SocketRights,
    protocol: WorkerProtocol,
    log: Log,
  ): Promise<SocketListener> {
    const listener = new SocketListener(protocol, log);
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
    for (const socket of this.#early.values()) socket.destroy();
  }

  #introduce(socket: Socket): void {
    socket.setNoDelay(true);
    socket.on("error", () => {});
    const timer = setTimeout(() => {
      this.#log.warn(
        {},
        `a connection to the relay did not introduce itself within ${INTRODUCTION_MS} ms and was closed`,
      );
      socket.destroy();
    }, INTRODUCTION_MS);
    socket.once("close", () => clearTimeout(timer));
    const refuse = () => socket.destroy();
    const onData = (chunk: Buffer) => reader.push(chunk);
    const reader = this.#protocol.createReader(
      {
        introduced: (pid) => {
          clearTimeout(timer);
          socket.off("data", onData);
          socket.pause();
          this.#introduced(pid, socket);
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

  #introduced(pid: number, socket: Socket): void {
    const found = this.#expected.get(pid);
    if (found) {
      this.#expected.delete(pid);
      found(new StreamRelay(socket, socket));
      return;
    }
    this.#early.set(pid, socket);
    socket.once("close", () => {
      if (this.#early.get(pid) === socket) this.#early.delete(pid);
    });
    this.#log.debug({ pid }, `process ${pid} connected to the relay before it was asked for`);
  }
}
