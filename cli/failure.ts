import { ERROR_TABLE, type ErrorReason, type FieldViolation, RrError } from "../src/errors.ts";
import type { CoreLocation } from "./invocation.ts";
import type { Paint } from "./output/colour.ts";
import { formatDuration, printable } from "./output/format.ts";
import type { JsonObject } from "./output/output.ts";

/** As shells report a program ended by SIGINT. */
export const EXIT_INTERRUPTED = 130;
/** Bad usage is a bad request. */
export const EXIT_USAGE = ERROR_TABLE.INVALID_REQUEST.exit;

/** Ctrl-C while something was waited for. */
export class Interrupted extends Error {
  override readonly name = "Interrupted";
}

export interface FailureContext {
  /** The command as typed, without its arguments: "worker add". */
  command?: string | undefined;
  /** Core that was asked, if one was. */
  core?: CoreLocation | undefined;
}

/** A failure as it is shown: what happened, what to do next, and the exit code. */
export interface Failure {
  reason: ErrorReason;
  message: string;
  violations: FieldViolation[];
  hint: string | undefined;
  exitCode: number;
  metadata: Record<string, string>;
}

export function explainFailure(thrown: unknown, context: FailureContext = {}): Failure {
  const error = RrError.from(thrown);
  const unreachable = error.reason === "UNAVAILABLE" && context.core !== undefined;
  return {
    reason: error.reason,
    message: unreachable ? unreachableMessage(error, context.core!) : error.message,
    violations: error.violations,
    hint: HINTS[error.reason]?.(error, context),
    exitCode: ERROR_TABLE[error.reason].exit,
    metadata: error.metadata,
  };
}

function unreachableMessage(error: RrError, core: CoreLocation): string {
  return `cannot reach the core at ${core.address} (${core.source}): ${plainCause(error.message)}`;
}

/** The transport's wording of a refused connection, without its frills. */
function plainCause(text: string): string {
  // gRPC met a server of another kind: HTTP/1, TLS, anything.
  if (/Protocol error|Parse Error|HTTP\/1\.|ERR_HTTP2|Unexpected end|wrong version number/i.test(text))
    return "what answers there does not speak gRPC: is that the address of another server, such as http.address?";
  if (/Name resolution failed/.test(text)) return SYSTEM_ERRORS.ENOTFOUND!;
  const system =
    /\b(ECONNREFUSED|ENOENT|EACCES|EPERM|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ECONNRESET)\b/.exec(
      text,
    )?.[1];
  return system === undefined ? text : (SYSTEM_ERRORS[system] ?? system);
}

const SYSTEM_ERRORS: Record<string, string> = {
  ECONNREFUSED: "connection refused",
  ENOENT: "there is no such socket",
  EACCES: "permission denied",
  EPERM: "permission denied",
  ENOTFOUND: "unknown host",
  EAI_AGAIN: "the host's name cannot be resolved now",
  ETIMEDOUT: "connection timed out",
  EHOSTUNREACH: "no route to the host",
  ENETUNREACH: "no route to the network",
  ECONNRESET: "the connection was closed",
};

type Hint = (error: RrError, context: FailureContext) => string | undefined;

const poolOf = (error: RrError) => error.metadata.pool ?? "<pool>";
const bootHint: Hint = (error, { core }) => {
  // The system had too little of something: the message says of what.
  if (error.metadata.shortage !== undefined) return undefined;
  const command = error.metadata.command === undefined ? "" : ` (${error.metadata.command})`;
  const byHand = `run the worker's command by hand to see what it says${command}`;
  // Of a server that did not start there is nobody to ask.
  return core === undefined ? byHand : `${byHand}; \`rrctl events --type 'worker.*'\` shows the last attempts`;
};

/** What to do next, by reason. Undefined: the message says it. */
const HINTS: { [Reason in ErrorReason]?: Hint } = {
  UNAVAILABLE: (error, { core }) =>
    core === undefined
      ? undefined
      : /ENOTFOUND|EAI_AGAIN|Name resolution failed/.test(error.message)
        ? "is the host's name right? --address takes tcp://host:port, host:port or unix:///path"
        : "is `rrctl serve` running? Start it, or name its address with --address, RRCTL_ADDRESS or -c <its .rr.yaml>",
  INVALID_REQUEST: (_error, { command }) => `\`rrctl ${command ?? ""} --help\` shows how it is used`.replace("  ", " "),
  CONFIG_INVALID: (_error, { command }) =>
    command === "config validate" ? undefined : "`rrctl config validate` lists all problems of the file",
  POOL_NOT_FOUND: () => "`rrctl pools` lists the pools",
  WORKER_NOT_FOUND: () => "`rrctl workers` lists the workers; it may have ended meanwhile",
  QUEUE_FULL: (error) =>
    `more workers take more calls: \`rrctl scale ${poolOf(error)} --workers N\`; max_queue_size bounds how many may wait`,
  QUEUE_WAIT_EXCEEDED: (error) =>
    `all workers are busy: \`rrctl workers ${poolOf(error)}\` shows with what; allocate_timeout bounds the wait`,
  DRAINING: () => "the server is ending; `rrctl info` shows its state",
  STARTING: (error) =>
    `try again in ${error.retryAfterMs === undefined ? "a moment" : formatDuration(error.retryAfterMs)}; \`rrctl pools\` shows the state`,
  POOL_PAUSED: (error) => `\`rrctl resume ${poolOf(error)}\` lets it take calls again`,
  EXEC_TIMEOUT: () => "supervisor.exec_ttl bounds how long a call may run",
  DEADLINE_EXCEEDED: (_error, { core }) =>
    core === undefined ? undefined : "--timeout allows more time; the work may go on: `rrctl pools` shows the state",
  WORKER_EXITED: (error) => `\`rrctl events --pool ${poolOf(error)}\` and the server's log show why`,
  WORKER_OOM: () =>
    "raise memory_limit of PHP or supervisor.max_worker_memory, or look for a leak with `rrctl workers -w`",
  PROTOCOL_VIOLATION: ({ message }) =>
    message.includes("pool.max_frame_size")
      ? "send the response in several pieces, or raise pool.max_frame_size"
      : "something writes to stdout besides the worker library; the server's log shows what",
  BOOT_FAILED: bootHint,
  BOOT_TIMEOUT: bootHint,
  CRASH_LOOP: bootHint,
  UNAUTHENTICATED: () =>
    "an admin makes a token with `rrctl token create`; show it with --token-file or RRCTL_TOKEN_FILE (docs/security.md)",
  PERMISSION_DENIED: ({ metadata }) =>
    metadata.role_needed === undefined
      ? "an admin decides what callers may do: docs/security.md"
      : `an admin makes a token of the role ${metadata.role_needed} with \`rrctl token create\` (docs/security.md)`,
  UNIMPLEMENTED: (_error, { core }) =>
    `something else than a core answers${core === undefined ? "" : ` at ${core.address}`}, or one of another version than this rrctl`,
  REVISION_COMPACTED: () => "these events are gone: run it without --after",
};

/** For people, on stderr. */
export function renderFailure(failure: Failure, paint: Paint): string {
  const lines = [`${paint("red", "error:")} ${oneOrMore(failure.message)}`];
  // A single violation often is the message.
  for (const { field, description } of failure.violations)
    if (!failure.message.includes(description))
      lines.push(`  ${printable(field === "" ? description : `${field}: ${description}`)}`);
  if (failure.hint !== undefined) lines.push(`${paint("cyan", "hint:")} ${printable(failure.hint)}`);
  return `${lines.join("\n")}\n`;
}

/** Boot failures quote a worker's output: their lines stay lines. */
function oneOrMore(message: string): string {
  return message.trimEnd().split(/\r?\n/).map(printable).join("\n  ");
}

/** For programs that asked for JSON: the same facts on stderr, in one line. */
export function failureData(failure: Failure): JsonObject {
  return {
    error: {
      reason: failure.reason,
      message: failure.message,
      violations: failure.violations.map(({ field, description }) => ({ field, description })),
      hint: failure.hint ?? "",
      metadata: failure.metadata,
      exit_code: failure.exitCode,
    },
  };
}
