import { existsSync } from "node:fs";
import { dirname } from "node:path";
import { type ErrorReason, RrError, systemErrorCode } from "../errors.ts";
import { type Address, plainAddress } from "./address.ts";
import { describePortOwner } from "./port-owner.ts";
import { PathTaken } from "./unix-socket.ts";

export interface ListenPurpose {
  /** What for, as in "cannot listen for RPC". */
  readonly what: string;
  /** Where the address is configured. */
  readonly key: string;
  /** FAILED_PRECONDITION unless told otherwise. */
  readonly reason?: ErrorReason;
}

/** Why nothing can listen at an address: whoever has it is named where the system tells, and what to do. */
export function listenProblem({ what, key, reason }: ListenPurpose, address: Address, thrown: unknown): RrError {
  if (thrown instanceof RrError) return thrown;
  const code = thrown instanceof PathTaken ? "EADDRINUSE" : (systemErrorCode(thrown) ?? codeInText(thrown));
  const words: Explanation = [thrown instanceof Error ? thrown.message : String(thrown), ""];
  const [problem, advice] = thrown instanceof PathTaken ? words : (PROBLEMS[code ?? ""]?.(address) ?? words);
  const text = `cannot listen for ${what} on ${plainAddress(address)}: ${problem}; ${advice || "choose another"} ${key}`;
  return new RrError(reason ?? "FAILED_PRECONDITION", text, {
    cause: thrown,
    metadata: {
      code,
      ...(address.kind === "tcp" ? { host: address.host, port: address.port } : { path: address.path }),
    },
  });
}

type Explanation = readonly [problem: string, advice: string];

const PROBLEMS: Readonly<Partial<Record<string, (address: Address) => Explanation>>> = {
  EADDRINUSE: (address) =>
    address.kind === "tcp"
      ? [`the port is in use${describePortOwner(address.port)}`, "stop that process or choose another"]
      : ["the path is in use", "stop who has it or choose another"],
  EACCES: (address) => (address.kind === "tcp" ? LOW_PORT : noAccess(address.path)),
  EPERM: (address) => (address.kind === "tcp" ? LOW_PORT : noAccess(address.path)),
  EADDRNOTAVAIL: () => ["this machine has no such address", "choose another"],
  EAFNOSUPPORT: () => ["this machine has no addresses of this kind (IPv6 is off?)", "choose another"],
  ENOTFOUND: () => ["the host name is not known", "choose another"],
  EAI_AGAIN: () => ["the host name cannot be looked up now", "write an IP address in"],
  ENOENT: (address) => noFolder(folderOf(address)),
  ENOTDIR: (address) => [`${folderOf(address)} is no folder`, "choose another"],
  EROFS: (address) => [`${folderOf(address)} is on a file system that cannot be written`, "choose another"],
  ENOSPC: (address) => [`the disk of ${folderOf(address)} is full`, "make room or choose another"],
  EMFILE: () => ["this process has all file descriptors that it may have", "raise LimitNOFILE (ulimit -n); it is"],
};

const LOW_PORT: Explanation = [
  "ports below 1024 need root or the capability CAP_NET_BIND_SERVICE",
  "give it (systemd: AmbientCapabilities=CAP_NET_BIND_SERVICE) or choose another",
];

function noFolder(folder: string): Explanation {
  return [`the folder ${folder} does not exist`, "make it or choose another"];
}

/** libuv says the same of a folder that is not there. */
function noAccess(path: string): Explanation {
  if (!existsSync(dirname(path))) return noFolder(dirname(path));
  return [`this user may not make files in ${dirname(path)}`, "give it the right or choose another"];
}

function folderOf(address: Address): string {
  return address.kind === "unix" ? dirname(address.path) : address.host;
}

/** gRPC's library hands on the system's words without its code. */
function codeInText(thrown: unknown): string | undefined {
  const text = String(thrown);
  return (
    /\b(E[A-Z]{3,}(?:_[A-Z]+)?)\b/.exec(text)?.[1] ?? (text.includes("No address added") ? "EADDRINUSE" : undefined)
  );
}
