import net, { isIPv6 } from "node:net";
import { getSystemErrorName } from "node:util";
import type { Address } from "../net/address.ts";
import { listenAtHost } from "../net/hosts.ts";
import { listenProblem } from "../net/listen-problem.ts";
import { type PlacedSocket, placeSocket, type SocketRights } from "../net/unix-socket.ts";

/**
 * A bound socket that the core holds and never accepts on. Frontends inherit its descriptor and listen on it: they share
 * the address, and while one is started again the connections wait in the kernel instead of being refused.
 */
export interface ListeningSocket {
  /** For the child's `stdio`; undefined where descriptors cannot be inherited. Frontends then open the address. */
  readonly fd: number | undefined;
  /** What was bound, with the port that the system chose. */
  readonly address: Address;
  /** False: the socket was removed from the file system, and nobody new finds it. */
  readonly isInPlace: boolean;
  close(): void;
}

interface BoundHandle {
  readonly fd: number;
  getsockname(out: { address?: string; port?: number }): number;
  close(): void;
}

/** What node:cluster uses to share a port. Not documented, hence only here and with a way around. */
type CreateServerHandle = (host: string, port: number, family: 4 | 6 | -1) => BoundHandle | number;

const create =
  process.platform === "win32"
    ? undefined
    : (net as unknown as { _createServerHandle?: CreateServerHandle })._createServerHandle;

/**
 * Binds once and keeps what it has: whoever shares the address gets this socket. Rejects with FAILED_PRECONDITION naming
 * who has it, where the system tells.
 *
 * @param key where the address is configured, for messages
 * @param rights who may connect to a unix socket
 */
export async function openListeningSocket(
  address: Address,
  key: string,
  rights: SocketRights = { mode: 0o600 },
): Promise<ListeningSocket> {
  try {
    return address.kind === "unix"
      ? await openAtPath(address.path, rights)
      : await listenAtHost(address.host, (ip) => openAtPort(ip, address.port));
  } catch (thrown) {
    throw listenProblem({ what: "HTTP", key }, address, thrown);
  }
}

async function openAtPort(host: string, port: number): Promise<ListeningSocket> {
  const isInPlace = true;
  if (!create) {
    // Frontends open it themselves; here it is seen whether they can.
    const chosen = await probe(host, port);
    return { fd: undefined, address: { kind: "tcp", host, port: chosen }, isInPlace, close: () => {} };
  }
  const handle = bound(create, host, port, isIPv6(host) ? 6 : 4);
  const name: { port?: number } = {};
  const failure = handle.getsockname(name);
  // libuv keeps "in use" to itself until somebody asks.
  if (failure !== 0 || !name.port) {
    handle.close();
    throw systemError(failure !== 0 ? getSystemErrorName(failure) : "EADDRINUSE");
  }
  return { fd: handle.fd, address: { kind: "tcp", host, port: name.port }, isInPlace, close: () => handle.close() };
}

async function openAtPath(path: string, rights: SocketRights): Promise<ListeningSocket> {
  if (!create) return { fd: undefined, address: { kind: "unix", path }, isInPlace: true, close: () => {} };
  let handle: BoundHandle | undefined;
  const placed: PlacedSocket = await placeSocket(path, rights, async (temporary) => {
    handle = bound(create, temporary, -1, -1);
  });
  return {
    fd: handle!.fd,
    address: { kind: "unix", path },
    get isInPlace() {
      return placed.isInPlace;
    },
    close: () => {
      placed.remove();
      handle!.close();
    },
  };
}

function bound(make: CreateServerHandle, ...[host, port, family]: Parameters<CreateServerHandle>): BoundHandle {
  const handle = make(host, port, family);
  if (typeof handle === "number") throw systemError(getSystemErrorName(handle));
  return handle;
}

function systemError(code: string): Error {
  return Object.assign(new Error(code), { code });
}

/** Listens for a moment: that tells whether the address can be had, and which port the system gives for 0. */
async function probe(host: string, port: number): Promise<number> {
  const server = net.createServer((socket) => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port, exclusive: true }, resolve);
  });
  const { port: chosen } = server.address() as net.AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return chosen;
}
