import { readFileSync } from "node:fs";

/** What works but should be changed, found when a server starts. */

export interface StartFacts {
  /** User id of this process; undefined where there is none. */
  readonly uid: number | undefined;
  readonly pools: readonly {
    readonly name: string;
    /** User id that workers run as; undefined: that of this process. */
    readonly uid: number | undefined;
    /** How many workers there may be by themselves. */
    readonly workers: number;
  }[];
  /** Connections of one frontend at most; 0: any number; undefined: nothing is served by HTTP. */
  readonly connectionsMax: number | undefined;
  /** File descriptors that a process may have; undefined: unknown. */
  readonly descriptorsMax: number | undefined;
}

/** Below that the server cannot even load. */
export const DESCRIPTORS_MIN = 128;
/** What the core has open without any worker: sockets, log, watches, Node's own. */
const OWN_DESCRIPTORS = 64;
/** Pipes to and from a worker, and what is open while one is started. */
const DESCRIPTORS_OF_WORKER = 4;
/** Fewer connections than that are hardly meant by "any number". */
const CONNECTIONS_MIN = 1024;

export function startWarnings({ uid, pools, connectionsMax, descriptorsMax }: StartFacts): string[] {
  const warnings: string[] = [];
  const asRoot = pools.filter((pool) => (pool.uid ?? uid) === 0).map(({ name }) => `"${name}"`);
  if (asRoot.length > 0)
    warnings.push(
      `PHP runs as root in pool ${asRoot.join(", ")}: whoever finds a hole in the application has the machine; set ` +
        "server.user, for example to www-data",
    );
  if (descriptorsMax === undefined) return warnings;
  const workers = pools.reduce((sum, pool) => sum + pool.workers, 0);
  const ofCore = OWN_DESCRIPTORS + workers * DESCRIPTORS_OF_WORKER;
  const ofFrontend =
    connectionsMax === undefined ? 0 : OWN_DESCRIPTORS + (connectionsMax === 0 ? CONNECTIONS_MIN : connectionsMax);
  const needed = Math.max(ofCore, ofFrontend);
  if (descriptorsMax < needed) {
    const why = ofCore >= ofFrontend ? `${workers} workers` : `${ofFrontend - OWN_DESCRIPTORS} connections`;
    warnings.push(
      `a process may have ${descriptorsMax} file descriptors, ${why} need about ${needed}: raise the limit ` +
        "(LimitNOFILE= of systemd, `ulimit -n`)",
    );
  }
  return warnings;
}

/** How many file descriptors this process may have. Node has raised its limit to what it may be raised to. */
export function descriptorsMax(): number | undefined {
  try {
    const match = /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "latin1"));
    return match ? Number(match[1]) : undefined;
  } catch {
    // Only Linux has it.
    return undefined;
  }
}
