import type { CallCommand, CallEvent } from "../../gen/roadrunner/dispatch/v1/dispatch_service_pb.ts";
import type { RrError } from "../errors.ts";
import { fromErrorDetail } from "../grpc/status.ts";
import { ATTEMPTS_MAX, type CallProgress, mayBeSentAgain, mayGoElsewhere } from "./core-choice.ts";
import type { CallHandle, CallRequest, CallSink } from "./dispatch-client.ts";
import type { DispatchStream, StreamedCall } from "./dispatch-stream.ts";

/** Who finds cores for calls. */
export interface CallPlacement {
  place(call: ClientCall): void;
  hasOther(call: ClientCall): boolean;
  forget(call: ClientCall): void;
}

/**
 * Bytes of one call that the core has not put away yet, at most; see BytesTaken of the contract. It is also all that is
 * kept of a body for another core: once a core has put some of it away, it has accepted the call.
 */
const CALL_WINDOW_BYTES = 1024 * 1024;
const NO_BYTES = new Uint8Array(0);

/** One call: at a core, waiting for one, or over. */
export class ClientCall implements CallHandle, StreamedCall, CallProgress {
  readonly callId: number;
  readonly #request: CallRequest;
  readonly #sink: CallSink;
  readonly #placement: CallPlacement;
  #stream: DispatchStream<ClientCall> | undefined;
  #over = false;
  /** Commands after `open`, as long as another core may have to hear them. */
  #said: { command: CallCommand["command"]; bytes: number }[] | undefined;
  repeatable = true;
  complete: boolean;
  answered = false;
  attemptsLeft = ATTEMPTS_MAX;
  /** Workers that have begun it at its present core, as far as is known. */
  #attemptsThere = 0;
  refusedBy: Set<DispatchStream<ClientCall>> | undefined;
  /** Body and files that the core has not put away yet. */
  #untakenBytes = 0;
  /** Wait for the core to put some of them away. */
  readonly #windowWaiters: (() => void)[] = [];

  constructor(callId: number, request: CallRequest, sink: CallSink, placement: CallPlacement) {
    this.callId = callId;
    this.#request = request;
    this.#sink = sink;
    this.#placement = placement;
    this.complete = !request.moreBody;
  }

  get pool(): string {
    return this.#request.pool;
  }

  get idempotent(): boolean {
    return this.#request.idempotent;
  }

  // What the caller does.

  get writable(): boolean {
    return this.#untakenBytes < CALL_WINDOW_BYTES && (this.#stream?.writable ?? true);
  }

  /** A call that is over can take any amount: nothing of it is sent. */
  whenWritable(callback: () => void): void {
    if (this.#over || this.writable) queueMicrotask(callback);
    else if (this.#untakenBytes >= CALL_WINDOW_BYTES) this.#windowWaiters.push(callback);
    else this.#stream!.whenWritable(callback);
  }

  sendBody(data: Uint8Array, last: boolean, context = NO_BYTES): void {
    this.#say({ case: "body", value: { $typeName: "roadrunner.dispatch.v1.BodyChunk", data, last, context } }, data);
    if (last) this.complete = true;
  }

  sendFile(fileId: number, data: Uint8Array, last: boolean): void {
    this.#say({ case: "file", value: { $typeName: "roadrunner.dispatch.v1.FileChunk", fileId, data, last } }, data);
  }

  grant(bytes: number): void {
    // Before there is a reply there is nothing to grant.
    if (this.#over || this.#stream === undefined) return;
    const value = { $typeName: "roadrunner.dispatch.v1.GrantWindow", bytes } as const;
    this.#stream.send(this.callId, { case: "grant", value });
  }

  cancel(): void {
    if (this.#over) return;
    this.#over = true;
    if (this.#stream === undefined) this.#placement.forget(this);
    else this.#stream.cancel(this.callId);
  }

  #say(command: CallCommand["command"], { length: bytes }: Uint8Array): void {
    if (this.#over) return;
    this.#untakenBytes += bytes;
    if (this.repeatable) (this.#said ??= []).push({ command, bytes });
    this.#stream?.send(this.callId, command, bytes);
  }

  // Where it goes.

  goTo(stream: DispatchStream<ClientCall>): void {
    this.#stream = stream;
    const { pool, context, body, codec, moreBody, idempotent, requestId, windowBytes, timeoutMs } = this.#request;
    stream.open(this, {
      $typeName: "roadrunner.dispatch.v1.OpenCall",
      pool,
      context,
      body,
      codec,
      moreBody,
      idempotent,
      requestId,
      windowBytes,
      timeoutMs,
      attemptsLeft: this.attemptsLeft,
      unlimitedWindow: false,
    });
    for (const { command, bytes } of this.#said ?? []) stream.send(this.callId, command, bytes);
  }

  /** The connection broke. Answers whether the call may be placed again. */
  lost(isSent: boolean, isClosing: boolean): boolean {
    this.#stream = undefined;
    if (isClosing) return false;
    if (!isSent) return this.repeatable;
    // At least one, since nobody can know.
    this.attemptsLeft -= Math.max(1, this.#attemptsThere);
    this.#attemptsThere = 0;
    return mayBeSentAgain(this);
  }

  fail(error: RrError): void {
    if (this.#over) return;
    this.#end();
    this.#sink.failed(error);
    for (const waiter of this.#windowWaiters.splice(0)) waiter();
  }

  #end(): void {
    this.#over = true;
    this.#stream = undefined;
    this.#accepted();
  }

  /** No other core can have the call any more. */
  #accepted(): void {
    this.repeatable = false;
    this.#said = undefined;
  }

  // What the core says.

  event(event: CallEvent["event"]): void {
    switch (event.case) {
      case "reply":
        this.answered = true;
        if (!event.value.more) this.#end();
        return this.#sink.reply(event.value);
      case "error":
        return this.#failed(fromErrorDetail(event.value));
      case "taken":
        this.#accepted();
        this.#untakenBytes -= event.value.bytes;
        if (this.#untakenBytes <= CALL_WINDOW_BYTES / 2) for (const waiter of this.#windowWaiters.splice(0)) waiter();
        return;
      case "stored": {
        // The file is on the host of this core.
        this.#accepted();
        const { fileId, path, sizeBytes, error } = event.value;
        this.#sink.stored?.({ fileId, path, sizeBytes: Number(sizeBytes), error });
        return;
      }
      case "retried":
        this.#attemptsThere = event.value.attempts;
    }
  }

  #failed(error: RrError): void {
    const begun = error.metadata.begun === "true";
    if (mayGoElsewhere(error.reason, this, begun)) {
      this.attemptsLeft -= Math.max(begun ? 1 : 0, this.#attemptsThere);
      this.#attemptsThere = 0;
      this.refusedBy ??= new Set();
      this.refusedBy.add(this.#stream!);
      if (this.#placement.hasOther(this)) return this.#placement.place(this);
    }
    this.fail(error);
  }
}
