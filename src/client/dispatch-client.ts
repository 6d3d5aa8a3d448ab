import type { Codec } from "../../gen/roadrunner/dispatch/v1/payload_pb.ts";
import { RrError } from "../errors.ts";
import type { Log } from "../log.ts";
import { ClientCall } from "./client-call.ts";
import { chooseCore } from "./core-choice.ts";
import type { CoreClient } from "./core-client.ts";
import { DispatchStream, type DispatchStreamListener, type LostCall } from "./dispatch-stream.ts";
import { PoolHealth } from "./pool-health.ts";

/** What starts a call; see OpenCall of the contract. */
export interface CallRequest {
  pool: string;
  context: Uint8Array;
  body: Uint8Array;
  codec: Codec;
  /** The body goes on by `CallHandle.sendBody`. */
  moreBody: boolean;
  idempotent: boolean;
  requestId: string;
  /** Bytes of reply that may arrive before `CallHandle.grant`. 0: what the core thinks right; Infinity: any number. */
  windowBytes: number;
  /** 0: as long as the pool allows. */
  timeoutMs: number;
}

/** A piece of a reply. The bytes are views on a received message: copy what is kept. */
export interface ReplyPiece {
  context: Uint8Array;
  body: Uint8Array;
  codec: Codec;
  more: boolean;
  pid: number;
}

/** What became of a file that was sent; see FileStored of the contract. */
export interface StoredFile {
  fileId: number;
  /** On the host of the workers; "" with an error. */
  path: string;
  sizeBytes: number;
  /** A code of PHP's UPLOAD_ERR family; 0: stored. */
  error: number;
}

/** Who wants the reply. Exactly one of `reply` with `more: false` and `failed` ends the call. */
export interface CallSink {
  reply(piece: ReplyPiece): void;
  failed(error: RrError): void;
  /** Grant what was gathered for larger portions: they are smaller from now on. */
  grantGathered?(): void;
  /** Once for each file of a call that sends any. */
  stored?(file: StoredFile): void;
}

export interface CallHandle {
  /** `context`, with the last piece, replaces that of the request. */
  sendBody(data: Uint8Array, last: boolean, context?: Uint8Array): void;
  /** A piece of a file. All files must be sent before the last piece of the body. */
  sendFile(fileId: number, data: Uint8Array, last: boolean): void;
  /** Bytes of the reply are not held any more: so many further ones may come. */
  grant(bytes: number): void;
  /** Nothing of the reply is held any more. For who gave the client a `windowBytes`; once, after the end of the call. */
  release?(): void;
  /** While much of all replies is held: grant in portions of so many bytes at most. */
  readonly portionBytes?: number | undefined;
  /** The reply is a response with this status; for the core's figures. Once, after the first piece of the reply. */
  responded(status: number): void;
  /** The sink hears no more of the call. */
  cancel(): void;
  /** False: the core has enough of this call, or of all; wait for `whenWritable` before sending more body or files. */
  readonly writable: boolean;
  whenWritable(callback: () => void): void;
}

/**
 * Calls to one core or several, each on one stream. A call goes to the core that has the least to do; one that is turned
 * away, or whose core goes away before a worker can have seen it, goes to the next.
 */
export interface DispatchClient {
  /** Never throws: a failure reaches the sink. */
  open(request: CallRequest, sink: CallSink): CallHandle;
  /** Calls that have not ended. */
  readonly openCalls: number;
  close(): void;
}

export interface DispatchClientOptions {
  /** Pools whose health decides between cores. */
  readonly pools?: readonly string[];
  /** Told of cores that come and go. */
  readonly log?: Log;
  /** Called when no core can be reached any more, with the reason, and with undefined when one can be again. */
  readonly reached?: (problem: string | undefined) => void;
  /**
   * Bytes of all replies that may be held at a time before each call gets little more: grants and `release` tell what is
   * not held any more. Absent: any number.
   */
  readonly windowBytes?: number;
}

/** Calls that no core can take wait so long for one to come back. */
const CORE_WAIT_MS = 3_000;
const CALL_ID_MAX = 0xffff_ffff;

export function createDispatchClient(
  cores: readonly CoreClient[],
  options: DispatchClientOptions = {},
): DispatchClient {
  return new BalancedDispatchClient(cores, options);
}

class BalancedDispatchClient implements DispatchClient, DispatchStreamListener<ClientCall> {
  readonly #streams: readonly DispatchStream<ClientCall>[];
  readonly #log: Log | undefined;
  readonly #reached: NonNullable<DispatchClientOptions["reached"]>;
  /** Calls without a core, and what ends their wait. */
  readonly #waiting = new Map<ClientCall, NodeJS.Timeout>();
  readonly #unreachable = new Set<DispatchStream<ClientCall>>();
  #lastCallId = 0;
  #closed = false;

  constructor(cores: readonly CoreClient[], options: DispatchClientOptions) {
    const { pools = [], log, windowBytes = Number.POSITIVE_INFINITY, reached = () => {} } = options;
    this.#log = log;
    this.#reached = reached;
    const hasChoice = cores.length > 1;
    this.#streams = cores.map(
      (core) => new DispatchStream(core, this, windowBytes, hasChoice ? new PoolHealth(core, pools) : undefined),
    );
  }

  get openCalls(): number {
    return this.#streams.reduce((sum, { openCalls }) => sum + openCalls, this.#waiting.size);
  }

  open(request: CallRequest, sink: CallSink): CallHandle {
    const call = new ClientCall(this.#nextCallId(), request, sink, this);
    this.place(call);
    return call;
  }

  close(): void {
    this.#closed = true;
    for (const stream of this.#streams) stream.close();
    for (const call of [...this.#waiting.keys()]) {
      this.forget(call);
      call.fail(new RrError("UNAVAILABLE", "the connection to the core was closed"));
    }
  }

  // For the calls.

  /** Finds a core for the call, or lets it wait for one. */
  place(call: ClientCall): void {
    const stream = chooseCore(this.#streams, call.pool, call.callId, call.refusedBy);
    if (stream !== undefined) call.goTo(stream);
    else
      this.#waiting.set(
        call,
        setTimeout(() => this.#giveUp(call), CORE_WAIT_MS),
      );
  }

  /** Whether another core could take what `call` was refused by some. */
  hasOther(call: ClientCall): boolean {
    return !this.#closed && chooseCore(this.#streams, call.pool, call.callId, call.refusedBy) !== undefined;
  }

  /** The call waits no more. */
  forget(call: ClientCall): void {
    clearTimeout(this.#waiting.get(call));
    this.#waiting.delete(call);
  }

  // What the streams tell.

  connected(stream: DispatchStream<ClientCall>): void {
    const event = { event: "core.connected", core: stream.address };
    const noneWas = this.#unreachable.size === this.#streams.length;
    if (this.#unreachable.delete(stream)) this.#log?.info(event, `core ${stream.address} is there`);
    else this.#log?.debug(event, `connected to core ${stream.address}`);
    if (noneWas) this.#reached(undefined);
    for (const call of [...this.#waiting.keys()]) {
      this.forget(call);
      this.place(call);
    }
  }

  broke(stream: DispatchStream<ClientCall>, error: RrError, calls: readonly LostCall<ClientCall>[]): void {
    const again = new Set(calls.flatMap(({ call, isSent }) => (call.lost(isSent, this.#closed) ? [call] : [])));
    if (!this.#closed && !this.#unreachable.has(stream)) {
      this.#unreachable.add(stream);
      const fields = { event: "core.lost", core: stream.address, calls: calls.length, sent_again: again.size };
      this.#log?.warn(fields, `core ${stream.address} cannot be reached: ${error.message}; trying again`);
      if (this.#unreachable.size === this.#streams.length) this.#reached(error.message);
    }
    const failure = new RrError("UNAVAILABLE", `the connection to the core broke: ${error.message}`, {
      cause: error,
      retryAfterMs: 1000,
    });
    for (const { call } of calls)
      if (again.has(call)) this.place(call);
      else call.fail(failure);
  }

  /** Unique among the open calls of all cores, so that a call may move. */
  #nextCallId(): number {
    do this.#lastCallId = this.#lastCallId === CALL_ID_MAX ? 1 : this.#lastCallId + 1;
    while (this.#streams.some((stream) => stream.has(this.#lastCallId)));
    return this.#lastCallId;
  }

  #giveUp(call: ClientCall): void {
    this.#waiting.delete(call);
    const cores = this.#streams.map(({ address }) => address);
    const who = cores.length === 1 ? "the core" : `none of the cores (${cores.join(", ")})`;
    call.fail(
      new RrError(
        "UNAVAILABLE",
        `${who} could ${cores.length === 1 ? "not " : ""}be reached within ${CORE_WAIT_MS} ms`,
        {
          retryAfterMs: 1000,
        },
      ),
    );
  }
}
