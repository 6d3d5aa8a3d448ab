import { rmSync } from "node:fs";
import net from "node:net";
import { getSystemErrorName } from "node:util";
import { RrError, systemErrorCode } from "../errors.ts";
import { describePortOwner } from "../process/port-owner.ts";

/**
 * A bound TCP socket that the core holds and never accepts on. Frontends inherit its descriptor and listen on it: they
 * share the port, and while one is started again the connections wait in the kernel instead of being refused.
 */
export interface ListeningSocket {
  /** For the child's `stdio`; undefined where descriptors cannot be inherited. Frontends then open the address. */
  readonly fd: number | undefined;
  readonly host: string;
  readonly port: number;
  close(): void;
}

interface BoundHandle {
  readonly fd: number;
  getsockname(out: { address?: string; port?: number }): number;
  close(): void;
}

/** What node:cluster uses to share a port. Not documented, hence only here and with a way around. */
type CreateServerHandle = (host: string, port: number, family: 4 | 6 | -1) => BoundHandle | number;

/**
 * Rejects with FAILED_PRECONDITION naming who has the port, where the system tells.
 *
 * @param key where the address is configured, for messages
 */
export async function openListeningSocket(host: string, port: number, key: string): Promise<ListeningSocket> {
  // An empty host means all interfaces, as in `address: ":8080"`.
  const bindHost = host === "" ? "0.0.0.0" : host;
  const chosenPort = await probe(bindHost, port, key);
  const create = (net as unknown as { _createServerHandle?: CreateServerHandle })._createServerHandle;
  if (!create || process.platform === "win32" || net.isIP(bindHost) === 0)
    return { fd: undefined, host: bindHost, port: chosenPort, close: () => {} };
  const handle = create(bindHost, chosenPort, net.isIPv6(bindHost) ? 6 : 4);
  if (typeof handle === "number") return { fd: undefined, host: bindHost, port: chosenPort, close: () => {} };
  return { fd: handle.fd, host: bindHost, port: chosenPort, close: () => handle.close() };
}

/** Listens for a moment: that tells whether the address can be had, and which port the system gives for 0. */
async function probe(host: string, port: number, key: string): Promise<number> {
  const server = net.createServer();
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error) => reject(cannotListen(host, port, key, error)));
    server.listen({ host, port, exclusive: true }, resolve);
  });
  const { port: chosen } = server.address() as net.AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return chosen;
}

function cannotListen(host: string, port: number, key: string, error: Error): RrError {
  const reasons: Record<string, string> = {
    EADDRINUSE: `the port is in use${describePortOwner(port)}; stop that process or choose another ${key}`,
    EACCES: `ports below 1024 need root; choose another ${key}`,
    EADDRNOTAVAIL: `this machine has no such address; choose another ${key}`,
    ENOTFOUND: `the host name is not known; choose another ${key}`,
  };
  const code = systemErrorCode(error) ?? "";
  return new RrError(
    "FAILED_PRECONDITION",
    `cannot listen for HTTP on ${host}:${port}: ${reasons[code] ?? error.message}`,
    {
      cause: error,
      metadata: { host, port },
    },
  );
}

/**
 * The same for a socket in the file system, which is there until `close`. What a server that has died left there is
 * replaced; `host` is the path, and the port 0.
 */
export async function openListeningUnixSocket(path: string, key: string): Promise<ListeningSocket> {
  if (await isServed(path))
    throw new RrError("FAILED_PRECONDITION", `cannot listen on ${path}: another program does; choose another ${key}`);
  const create = (net as unknown as { _createServerHandle?: CreateServerHandle })._createServerHandle;
  if (!create) return { fd: undefined, host: path, port: 0, close: () => {} };
  const handle = create(path, -1, -1);
  if (typeof handle === "number") {
    const reason = getSystemErrorName(handle);
    throw new RrError("FAILED_PRECONDITION", `cannot listen on ${path}: ${reason}; choose another ${key}`);
  }
  return {
    fd: handle.fd,
    host: path,
    port: 0,
    close: () => {
      handle.close();
      rmSync(path, { force: true });
    },
  };
}

/** Whether somebody accepts there. A socket without anybody is removed. */
function isServed(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", (error) => {
      if (systemErrorCode(error) === "ECONNREFUSED") rmSync(path, { force: true });
      resolve(false);
    });
  });
}
