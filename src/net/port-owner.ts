import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** " by process 123 (php)", or "" where the system does not tell. Reads /proc. */
export function describePortOwner(port: number): string {
  return describeOwner(() => listeningInodes(port));
}

/** The same for a socket in the file system. */
export function describeSocketOwner(path: string): string {
  return describeOwner(() => inodesAtPath(path));
}

function describeOwner(find: () => Set<string>): string {
  if (process.platform !== "linux") return "";
  try {
    const inodes = find();
    if (inodes.size === 0) return "";
    for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
      if (!ownsSocket(pid, inodes)) continue;
      const command = readFileSync(`/proc/${pid}/cmdline`, "latin1");
      return ` by process ${pid} (${command.split("\0").slice(0, 3).join(" ").trim()})`;
    }
  } catch {
    // What cannot be read is not told.
  }
  return "";
}

/** Listening sockets (flag 00010000 of /proc/net/unix), bound to the path, or to the name that ours have at first. */
function inodesAtPath(path: string): Set<string> {
  const inodes = new Set<string>();
  for (const line of readFileSync("/proc/net/unix", "utf8").split("\n").slice(1)) {
    const match = /^\S+ \S+ \S+ (\S+) \S+ \S+ +(\d+) (.*)$/.exec(line);
    if (match?.[1] !== "00010000") continue;
    const name = match[3]!;
    if (name === path || (name.startsWith(`${path}.`) && /^\d+(-\d+)?$/.test(name.slice(path.length + 1))))
      inodes.add(match[2]!);
  }
  return inodes;
}

/** Inodes of the sockets that listen on a port (state 0A of /proc/net/tcp). */
function listeningInodes(port: number): Set<string> {
  const wanted = port.toString(16).toUpperCase().padStart(4, "0");
  const inodes = new Set<string>();
  for (const file of ["/proc/net/tcp", "/proc/net/tcp6"])
    for (const line of readFileSync(file, "latin1").split("\n").slice(1)) {
      const fields = line.trim().split(/\s+/);
      if (fields[1]?.endsWith(`:${wanted}`) && fields[3] === "0A") inodes.add(fields[9]!);
    }
  return inodes;
}

function ownsSocket(pid: string, inodes: ReadonlySet<string>): boolean {
  try {
    return readdirSync(`/proc/${pid}/fd`).some((fd) => {
      const match = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`));
      return match !== null && inodes.has(match[1]!);
    });
  } catch {
    return false;
  }
}
