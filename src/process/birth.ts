import { createHash } from "node:crypto";
import { readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";

/** When the system does not say when a process started. */
export const BIRTH_UNKNOWN = "0";

/**
 * What tells a process from a later one with the same id: when it started, in clock ticks since the machine did.
 * Undefined: there is no such process, or only what its parent has yet to take notice of.
 */
export function birthOf(pid: number): string | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The second field is the name in parentheses and may hold anything; the state is the third, the start the 22nd.
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" || fields[0] === "X" ? undefined : fields[19]!;
  } catch {
    return isThere(pid) ? BIRTH_UNKNOWN : undefined;
  }
}

/** Signal 0 asks. Only "no such process" is a no: a process of another user may not be signalled, but is there. */
function isThere(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (thrown) {
    return (thrown as NodeJS.ErrnoException).code !== "ESRCH";
  }
}

/**
 * Names the world that process ids of this process are valid in: the host, and on Linux the container. Eight hexadecimal
 * digits.
 */
export function processWorld(): string {
  let namespace = "";
  try {
    namespace = readlinkSync("/proc/self/ns/pid");
  } catch {
    // Only Linux has them.
  }
  return createHash("sha256").update(`${hostname()} ${namespace}`).digest("hex").slice(0, 8);
}

/** What tells this process from all others. */
export function self(): { world: string; pid: number; birth: string } {
  return { world: processWorld(), pid: process.pid, birth: birthOf(process.pid) ?? BIRTH_UNKNOWN };
}
