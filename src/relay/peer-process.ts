import { readdir, readFile, readlink } from "node:fs/promises";
import { isIPv4 } from "node:net";
import { endianness } from "node:os";

/** The ends of a connection, as a Node socket tells them; without ports: a unix socket. */
export interface ConnectionEnds {
  readonly localAddress?: string | undefined;
  readonly localPort?: number | undefined;
  readonly remoteAddress?: string | undefined;
  readonly remotePort?: number | undefined;
}

/**
 * Whether a process is at the other end of a connection, as the system knows it; "unknown" where it does not tell (not
 * Linux, or the process hides what it has open).
 *
 * TCP: the socket at the other end is looked up by its two addresses, and must be among the open files of the process.
 * Unix: the system tells who may connect by the mode of the file alone, not who did; here the process must at least have
 * a connected socket of that kind open, which a worker that has not connected yet has not.
 */
export type PeerProof = "proven" | "refuted" | "unknown";

export async function peerProof(ends: ConnectionEnds, pid: number): Promise<PeerProof> {
  if (process.platform !== "linux") return "unknown";
  try {
    if ((await parentOf(pid)) !== process.pid) return "refuted";
    const sockets = ends.remotePort === undefined ? await unixSockets(pid) : await tcpSockets(ends, pid);
    return (await hasOpen(pid, sockets)) ? "proven" : "refuted";
  } catch (thrown) {
    const { code } = thrown as NodeJS.ErrnoException;
    // It has ended, or never was.
    return code === "ENOENT" || code === "ESRCH" ? "refuted" : "unknown";
  }
}

async function parentOf(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/stat`, "latin1");
  // The name in parentheses may hold anything; state and parent follow it.
  return Number(text.slice(text.lastIndexOf(")") + 2).split(" ")[1]);
}

/** Inodes of the sockets whose ends are these, seen from the other side. The process may live in a network of its own. */
async function tcpSockets(ends: ConnectionEnds, pid: number): Promise<ReadonlySet<string>> {
  const inodes = new Set<string>();
  const local = tableEntry(ends.remoteAddress!, ends.remotePort!);
  const remote = tableEntry(ends.localAddress!, ends.localPort!);
  for (const table of ["tcp", "tcp6"]) {
    const text = await readFile(`/proc/${pid}/net/${table}`, "latin1").catch(() => "");
    for (const line of text.split("\n")) {
      const fields = line.trim().split(/\s+/);
      if (sameEnd(fields[1], local) && sameEnd(fields[2], remote)) inodes.add(fields[9]!);
    }
  }
  return inodes;
}

/** Inodes of connected unix sockets that no path belongs to: the ends of those who connected. */
async function unixSockets(pid: number): Promise<ReadonlySet<string>> {
  const inodes = new Set<string>();
  const text = await readFile(`/proc/${pid}/net/unix`, "latin1");
  for (const line of text.split("\n")) {
    const [, , , , type, state, inode, path] = line.trim().split(/\s+/);
    if (type === "0001" && state === "03" && path === undefined) inodes.add(inode!);
  }
  return inodes;
}

async function hasOpen(pid: number, inodes: ReadonlySet<string>): Promise<boolean> {
  if (inodes.size === 0) return false;
  const folder = `/proc/${pid}/fd`;
  for (const fd of await readdir(folder)) {
    const target = await readlink(`${folder}/${fd}`).catch(() => "");
    const match = /^socket:\[(\d+)\]$/.exec(target);
    if (match && inodes.has(match[1]!)) return true;
  }
  return false;
}

/** An end as the table writes it: "0100007F:1F90", the address in words of the machine's byte order. */
function tableEntry(address: string, port: number): string {
  const bare = address.replace(/^::ffff:(?=\d+\.)/, "");
  const bytes = isIPv4(bare) ? bare.split(".").map(Number) : ipv6Bytes(bare);
  const swapped = endianness() === "LE";
  let hex = "";
  for (let at = 0; at < bytes.length; at += 4) {
    const word = bytes.slice(at, at + 4);
    for (const byte of swapped ? word.reverse() : word) hex += byte.toString(16).padStart(2, "0");
  }
  return `${hex}:${port.toString(16).padStart(4, "0")}`.toUpperCase();
}

/** An IPv4 address may stand in the table of IPv6, with 24 digits before it. */
function sameEnd(entry: string | undefined, end: string): boolean {
  return entry === end || (end.length === 13 && entry?.length === 37 && entry.endsWith(end));
}

function ipv6Bytes(address: string): number[] {
  const [head = "", tail] = address.replace(/%.*$/, "").split("::");
  const groups = (text: string) => (text === "" ? [] : text.split(":").map((group) => Number.parseInt(group, 16)));
  const [first, last] = [groups(head), groups(tail ?? "")];
  const zeros = tail === undefined ? [] : new Array<number>(8 - first.length - last.length).fill(0);
  return [...first, ...zeros, ...last].flatMap((group) => [group >> 8, group & 0xff]);
}
