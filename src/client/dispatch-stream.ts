import type {
  CallCommand,
  CallEvent,
  DispatchStreamRequest,
} from "../../gen/roadrunner/dispatch/v1/dispatch_service_pb.ts";
import type { Codec } from "../../gen/roadrunner/dispatch/v1/payload_pb.ts";
import { RrError } from "../errors.ts";
import { fromErrorDetail } from "../grpc/status.ts";
import type { CoreClient } from "./core-client.ts";

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
  /** Bytes of reply that may arrive before `CallHandle.grant`. 0: any number. */
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
  /** Once for each file of a call that sends any. */
  stored?(file: StoredFile): void;
}

export interface CallHandle {
  /** `context`, with the last piece, replaces that of the request. */
  sendBody(data: Uint8Array, last: boolean, context?: Uint8Array): void;
  /** A piece of a file. All files must be sent before the last piece of the body. */
  sendFile(fileId: number, data: Uint8Array, last: boolean): void;
  grant(bytes: number): void;
  /** The sink hears no more of the call. */
  cancel(): void;
  /** False: the core has enough of this call, or of all; wait for `whenWritable` before sending more body or files. */
  readonly writable: boolean;
  whenWritable(callback: () => void): void;
}

/** Many calls on one stream to the core, batched by event-loop turn. Reconnects by itself. */
export interface DispatchClient {
  /** Never throws: a failure reaches the sink. */
  open(request: CallRequest, sink: CallSink): CallHandle;
  /** Calls that have not ended. */
  readonly openCalls: number;
  close(): void;
}

/** Body bytes that may wait for the stream before senders are asked to pause. */
const PENDING_BYTES_MAX = 1024 * 1024;
/** Bytes of one call that the core has not put away yet, at most; see BytesTaken of the contract. */
const CALL_WINDOW_BYTES = 1024 * 1024;
const NO_BYTES = new Uint8Array(0);
/** Calls that are opened while the core cannot be reached wait so long for it to come back. */
const RECONNECT_WAIT_MS = 3_000;
const RECONNECT_DELAY_MS = 50;
const CALL_ID_MAX = 0xffff_ffff;

export function createDispatchClient(core: CoreClient): DispatchClient {
  return new StreamingDispatchClient(core);
}

interface OpenStreamCall {
  readonly request: CallRequest;
  readonly sink: CallSink;
  /** Set while the call waits for a connection; fails it when the wait is over. */
  waitTimer: NodeJS.Timeout | undefined;
  /** Body and files that the core has not put away yet. */
  untakenBytes: number;
  /** Wait for the core to put some of them away. */
  readonly windowWaiters: (() => void)[];
}

class StreamingDispatchClient implements DispatchClient {
  readonly #core: CoreClient;
  readonly #calls = new Map<number, OpenStreamCall>();
  #lastCallId = 0;
  #commands: CallCommand[] = [];
  #pendingBytes = 0;
  #wake: (() => void) | undefined;
  #drainWaiters: (() => void)[] = [];
  #connected = false;
  #closed = false;
  #abort = new AbortController();

  constructor(core: CoreClient) {
    this.#core = core;
    void this.#stayConnected();
  }

  get openCalls(): number {
    return this.#calls.size;
  }

  open(request: CallRequest, sink: CallSink): CallHandle {
    const callId = this.#nextCallId();
    const call: OpenStreamCall = { request, sink, waitTimer: undefined, untakenBytes: 0, windowWaiters: [] };
    this.#calls.set(callId, call);
    if (!this.#connected) call.waitTimer = setTimeout(() => this.#unreachable(callId), RECONNECT_WAIT_MS);
    this.#send(callId, {
      case: "open",
      value: {
        $typeName: "roadrunner.dispatch.v1.OpenCall",
        pool: request.pool,
        context: request.context,
        body: request.body,
        codec: request.codec,
        moreBody: request.moreBody,
        idempotent: request.idempotent,
        requestId: request.requestId,
        windowBytes: request.windowBytes,
        timeoutMs: request.timeoutMs,
      },
    });
    return new StreamCallHandle(callId, this);
  }

  close(): void {
    this.#closed = true;
    this.#abort.abort();
    this.#wake?.();
  }

  // For the handles.

  isWritable(callId: number): boolean {
    const untakenBytes = this.#calls.get(callId)?.untakenBytes ?? 0;
    return this.#pendingBytes < PENDING_BYTES_MAX && untakenBytes < CALL_WINDOW_BYTES;
  }

  /** A call that has ended can take any amount: nothing of it is sent. */
  whenWritable(callId: number, callback: () => void): void {
    const call = this.#calls.get(callId);
    if (call !== undefined && call.untakenBytes >= CALL_WINDOW_BYTES) call.windowWaiters.push(callback);
    else if (call !== undefined && this.#pendingBytes >= PENDING_BYTES_MAX) this.#drainWaiters.push(callback);
    else queueMicrotask(callback);
  }

  sendBody(callId: number, data: Uint8Array, last: boolean, context: Uint8Array): void {
    if (!this.#countSent(callId, data.length)) return;
    this.#send(callId, { case: "body", value: { $typeName: "roadrunner.dispatch.v1.BodyChunk", data, last, context } });
  }

  sendFile(callId: number, fileId: number, data: Uint8Array, last: boolean): void {
    if (!this.#countSent(callId, data.length)) return;
    this.#send(callId, { case: "file", value: { $typeName: "roadrunner.dispatch.v1.FileChunk", fileId, data, last } });
  }

  grant(callId: number, bytes: number): void {
    if (!this.#calls.has(callId)) return;
    this.#send(callId, { case: "grant", value: { $typeName: "roadrunner.dispatch.v1.GrantWindow", bytes } });
  }

  cancel(callId: number): void {
    const call = this.#calls.get(callId);
    if (!call) return;
    clearTimeout(call.waitTimer);
    this.#calls.delete(callId);
    this.#send(callId, { case: "cancel", value: { $typeName: "roadrunner.dispatch.v1.CancelCall" } });
  }

  /** False: the call has ended, and nothing more is to be sent. */
  #countSent(callId: number, bytes: number): boolean {
    const call = this.#calls.get(callId);
    if (call === undefined) return false;
    call.untakenBytes += bytes;
    this.#pendingBytes += bytes;
    return true;
  }

  #nextCallId(): number {
    do this.#lastCallId = this.#lastCallId === CALL_ID_MAX ? 1 : this.#lastCallId + 1;
    while (this.#calls.has(this.#lastCallId));
    return this.#lastCallId;
  }

  #send(callId: number, command: CallCommand["command"]): void {
    const first = this.#commands.push({ $typeName: "roadrunner.dispatch.v1.CallCommand", callId, command }) === 1;
    // The first command of a turn arms the wake-up; the others of the turn join it.
    if (first && this.#wake) setImmediate(() => this.#wake?.());
  }

  async #stayConnected(): Promise<void> {
    while (!this.#closed) {
      await this.#runStream();
      if (!this.#closed) await new Promise((resolve) => setTimeout(resolve, RECONNECT_DELAY_MS));
    }
    this.#failAll(new RrError("UNAVAILABLE", "the connection to the core was closed"));
  }

  /** One stream from its start to its end. */
  async #runStream(): Promise<void> {
    this.#abort = new AbortController();
    const stream = { ended: false };
    try {
      const responses = this.#core.dispatch.dispatchStream(this.#batches(stream), {
        signal: this.#abort.signal,
        onHeader: () => this.#established(),
      });
      for await (const { events } of responses) for (const event of events) this.#event(event);
    } catch (thrown) {
      this.#failEstablished(RrError.from(thrown));
    } finally {
      stream.ended = true;
      this.#wake?.();
      this.#failEstablished(new RrError("UNAVAILABLE", "the core ended the stream"));
    }
  }

  async *#batches(stream: { ended: boolean }): AsyncGenerator<DispatchStreamRequest> {
    while (!stream.ended && !this.#closed) {
      // Before the stream is established nothing is sent, so that calls can wait for the next one.
      if (this.#commands.length === 0 || !this.#connected) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        this.#wake = undefined;
        continue;
      }
      const commands = this.#commands;
      this.#commands = [];
      this.#pendingBytes = 0;
      const waiters = this.#drainWaiters;
      this.#drainWaiters = [];
      yield { $typeName: "roadrunner.dispatch.v1.DispatchStreamRequest", commands };
      for (const waiter of waiters) waiter();
    }
  }

  #established(): void {
    this.#connected = true;
    for (const call of this.#calls.values()) {
      clearTimeout(call.waitTimer);
      call.waitTimer = undefined;
    }
    this.#wake?.();
  }

  /** The stream broke: what was under way on it is lost. What waits for a connection goes on waiting. */
  #failEstablished(error: RrError): void {
    if (!this.#connected) return;
    this.#connected = false;
    this.#commands = [];
    this.#pendingBytes = 0;
    this.#failAll(
      new RrError("UNAVAILABLE", `the connection to the core broke: ${error.message}`, {
        cause: error,
        retryAfterMs: 1000,
      }),
    );
  }

  #failAll(error: RrError): void {
    const calls = [...this.#calls.values()];
    this.#calls.clear();
    for (const call of calls) {
      clearTimeout(call.waitTimer);
      call.sink.failed(error);
      for (const waiter of call.windowWaiters) waiter();
    }
    for (const waiter of this.#drainWaiters.splice(0)) waiter();
  }

  #unreachable(callId: number): void {
    const call = this.#calls.get(callId);
    this.#calls.delete(callId);
    this.#commands = this.#commands.filter((command) => command.callId !== callId);
    call?.sink.failed(
      new RrError("UNAVAILABLE", `the core could not be reached within ${RECONNECT_WAIT_MS} ms`, {
        retryAfterMs: 1000,
      }),
    );
  }

  #event({ callId, event }: CallEvent): void {
    const call = this.#calls.get(callId);
    // Late events of a call that was cancelled.
    if (!call) return;
    if (event.case === "reply") {
      if (!event.value.more) this.#calls.delete(callId);
      call.sink.reply(event.value);
    } else if (event.case === "error") {
      this.#calls.delete(callId);
      call.sink.failed(fromErrorDetail(event.value));
      for (const waiter of call.windowWaiters) waiter();
    } else if (event.case === "taken") {
      call.untakenBytes -= event.value.bytes;
      if (call.untakenBytes <= CALL_WINDOW_BYTES / 2) for (const waiter of call.windowWaiters.splice(0)) waiter();
    } else if (event.case === "stored") {
      const { fileId, path, sizeBytes, error } = event.value;
      call.sink.stored?.({ fileId, path, sizeBytes: Number(sizeBytes), error });
    }
  }
}

class StreamCallHandle implements CallHandle {
  readonly #callId: number;
  readonly #client: StreamingDispatchClient;

  constructor(callId: number, client: StreamingDispatchClient) {
    this.#callId = callId;
    this.#client = client;
  }

  get writable(): boolean {
    return this.#client.isWritable(this.#callId);
  }

  whenWritable(callback: () => void): void {
    this.#client.whenWritable(this.#callId, callback);
  }

  sendBody(data: Uint8Array, last: boolean, context = NO_BYTES): void {
    this.#client.sendBody(this.#callId, data, last, context);
  }

  sendFile(fileId: number, data: Uint8Array, last: boolean): void {
    this.#client.sendFile(this.#callId, fileId, data, last);
  }

  grant(bytes: number): void {
    this.#client.grant(this.#callId, bytes);
  }

  cancel(): void {
    this.#client.cancel(this.#callId);
  }
}
