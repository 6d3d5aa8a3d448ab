/**
 * Every failure a caller can act on, in one table: what gRPC, HTTP and the command line say of it. Programs switch on
 * the reason, never on the text. The names are those of `roadrunner.errors.v1.ErrorReason` without its prefix.
 */
export const ERROR_TABLE = {
  INTERNAL: { grpc: "INTERNAL", http: 500, exit: 1 },
  INVALID_REQUEST: { grpc: "INVALID_ARGUMENT", http: 400, exit: 2 },
  CONFIG_INVALID: { grpc: "INVALID_ARGUMENT", http: 400, exit: 2 },
  POOL_NOT_FOUND: { grpc: "NOT_FOUND", http: 500, exit: 4 },
  WORKER_NOT_FOUND: { grpc: "NOT_FOUND", http: 500, exit: 4 },
  UNAUTHENTICATED: { grpc: "UNAUTHENTICATED", http: 401, exit: 5 },
  PERMISSION_DENIED: { grpc: "PERMISSION_DENIED", http: 403, exit: 5 },
  QUEUE_FULL: { grpc: "RESOURCE_EXHAUSTED", http: 503, exit: 6 },
  QUEUE_WAIT_EXCEEDED: { grpc: "RESOURCE_EXHAUSTED", http: 503, exit: 6 },
  DRAINING: { grpc: "UNAVAILABLE", http: 503, exit: 6 },
  STARTING: { grpc: "UNAVAILABLE", http: 503, exit: 6 },
  POOL_PAUSED: { grpc: "UNAVAILABLE", http: 503, exit: 6 },
  UNAVAILABLE: { grpc: "UNAVAILABLE", http: 503, exit: 6 },
  EXEC_TIMEOUT: { grpc: "DEADLINE_EXCEEDED", http: 504, exit: 1 },
  DEADLINE_EXCEEDED: { grpc: "DEADLINE_EXCEEDED", http: 504, exit: 1 },
  // 499 is what access logs of this field show for a client that left; it is never sent.
  CANCELLED: { grpc: "CANCELLED", http: 499, exit: 1 },
  WORKER_ERROR: { grpc: "INTERNAL", http: 500, exit: 1 },
  WORKER_EXITED: { grpc: "ABORTED", http: 502, exit: 1 },
  WORKER_OOM: { grpc: "ABORTED", http: 502, exit: 1 },
  PROTOCOL_VIOLATION: { grpc: "ABORTED", http: 502, exit: 1 },
  BOOT_FAILED: { grpc: "FAILED_PRECONDITION", http: 503, exit: 1 },
  BOOT_TIMEOUT: { grpc: "FAILED_PRECONDITION", http: 503, exit: 1 },
  CRASH_LOOP: { grpc: "FAILED_PRECONDITION", http: 503, exit: 1 },
  FAILED_PRECONDITION: { grpc: "FAILED_PRECONDITION", http: 503, exit: 1 },
  PAYLOAD_TOO_LARGE: { grpc: "RESOURCE_EXHAUSTED", http: 413, exit: 1 },
  REVISION_COMPACTED: { grpc: "OUT_OF_RANGE", http: 500, exit: 1 },
  UNIMPLEMENTED: { grpc: "UNIMPLEMENTED", http: 501, exit: 1 },
} as const satisfies Record<string, { grpc: string; http: number; exit: number }>;

export type ErrorReason = keyof typeof ERROR_TABLE;

export interface FieldViolation {
  /** Path of the field, in proto names. */
  field: string;
  description: string;
}

export interface RrErrorOptions {
  cause?: unknown;
  /** Values that the message mentions, for programs: pool, pid, exit_code, signal, ... */
  metadata?: Record<string, string | number | undefined>;
  retryAfterMs?: number;
  violations?: FieldViolation[];
}

/** A failure that a caller can act on. The message is a sentence without full stop that names thing and value. */
export class RrError extends Error {
  override readonly name = "RrError";
  readonly reason: ErrorReason;
  readonly metadata: Record<string, string>;
  readonly retryAfterMs: number | undefined;
  readonly violations: FieldViolation[];

  constructor(reason: ErrorReason, message: string, options: RrErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.reason = reason;
    this.metadata = {};
    for (const [key, value] of Object.entries(options.metadata ?? {}))
      if (value !== undefined) this.metadata[key] = String(value);
    this.retryAfterMs = options.retryAfterMs;
    this.violations = options.violations ?? [];
  }

  /** Anything thrown, as an RrError: itself, or an INTERNAL one that keeps the original as its cause. */
  static from(thrown: unknown): RrError {
    if (thrown instanceof RrError) return thrown;
    return new RrError("INTERNAL", thrown instanceof Error ? thrown.message : String(thrown), { cause: thrown });
  }
}

/** The same error with other texts: what `change` makes of all that it says. */
export function withTexts(error: RrError, change: (text: string) => string): RrError {
  const changed = new RrError(error.reason, change(error.message), {
    cause: error.cause,
    metadata: Object.fromEntries(Object.entries(error.metadata).map(([key, value]) => [key, change(value)])),
    ...(error.retryAfterMs !== undefined && { retryAfterMs: error.retryAfterMs }),
    violations: error.violations.map(({ field, description }) => ({ field, description: change(description) })),
  });
  if (error.stack !== undefined) changed.stack = change(error.stack);
  return changed;
}

export function isErrorReason(name: string): name is ErrorReason {
  return Object.hasOwn(ERROR_TABLE, name);
}

/** What the system calls an error of its own, such as "EADDRINUSE"; undefined for anything else. */
export function systemErrorCode(thrown: unknown): string | undefined {
  const code = (thrown as { code?: unknown } | undefined)?.code;
  return typeof code === "string" ? code : undefined;
}
