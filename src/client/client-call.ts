import type { CallEvent, OpenCall } from "../../gen/roadrunner/dispatch/v1/dispatch_service_pb.ts";
import { Waiters } from "../async/waiters.ts";
import { RrError } from "../errors.ts";
import { fromErrorDetail } from "../grpc/status.ts";
import { type Command, commandPieces } from "./command-pieces.ts";
import { ATTEMPTS_MAX, type CallProgress, mayBeSentAgain, mayGoElsewhere } from "./core-choice.ts";
import type { CallHandle, CallRequest, CallSink } from "./dispatch-client.ts";
import type { DispatchStream, StreamedCall } from "./dispatch-stream.ts";
import type { ReceiveWindow } from "./receive-window.ts";

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
  /** The core that its reply comes from. */
  #answeredBy: DispatchStream<ClientCall> | undefined;
  #over = false;
  /** Commands after `open`, as long as another core may have to hear them. */
  #said: Command[] | undefined;
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
  readonly #windowWaiters = new Waiters();
  /** Where the bytes of its reply came from, and how many of them are held. */
  #window: ReceiveWindow | undefined;
  #heldBytes = 0;
  #released = false;

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

  /** A call that is over can take any amount: nothing of it is sent. Whoever waited for it must not wait again. */
  get writable(): boolean {
    return this.#over || this.#hasRoom;
  }

  get #hasRoom(): boolean {
    return this.#untakenBytes < CALL_WINDOW_BYTES && (this.#stream?.writable ?? true);
  }

  whenWritable(callback: () => void): void {
    if (this.writable) queueMicrotask(callback);
    else if (this.#untakenBytes >= CALL_WINDOW_BYTES) this.#windowWaiters.add(callback);
    else this.#stream!.whenWritable(callback);
  }

  sendBody(data: Uint8Array, last: boolean, context = NO_BYTES): void {
    // Before it is said: the core may answer at once.
    if (last) this.complete = true;
    this.#say({ case: "body", value: { $typeName: "roadrunner.dispatch.v1.BodyChunk", data, last, context } });
  }

  sendFile(fileId: number, data: Uint8Array, last: boolean): void {
    this.#say({ case: "file", value: { $typeName: "roadrunner.dispatch.v1.FileChunk", fileId, data, last } });
  }

  /** What is held when the call is over is given back by `release`. */
  grant(bytes: number): void {
    if (this.#over || this.#stream === undefined) return;
    // Callers may grant more than came.
    const heldBytes = Math.min(bytes, this.#heldBytes);
    this.#heldBytes -= heldBytes;
    this.#window?.granted(heldBytes);
    const value = { $typeName: "roadrunner.dispatch.v1.GrantWindow", bytes } as const;
    this.#stream.send(this.callId, { case: "grant", value });
  }

  get portionBytes(): number | undefined {
    return this.#window?.portionBytes;
  }

  grantGathered(): void {
    this.#sink.grantGathered?.();
  }

  release(): void {
    this.#released = true;
    this.#window?.released(this.#heldBytes);
    this.#heldBytes = 0;
  }

  responded(status: number): void {
    this.#answeredBy?.countResponse(this.pool, status);
  }

  cancel(): void {
    if (this.#over) return;
    this.#over = true;
    if (this.#stream === undefined) this.#placement.forget(this);
    else this.#stream.cancel(this.callId);
    this.#windowWaiters.wakeAll();
  }

  #say(command: Command): void {
    if (this.#over) return;
    if (this.repeatable) (this.#said ??= []).push(command);
    if (this.#stream) this.#send(command, this.#stream);
    else this.#untakenBytes += payloadBytes(command);
  }

  /** In pieces that the core can take, if there are such. */
  #send(command: Command, stream: DispatchStream<ClientCall>): void {
    try {
      for (const piece of commandPieces(command, stream.limits)) {
        this.#untakenBytes += payloadBytes(piece);
        if (piece.case === "open") stream.open(this, piece.value);
        else stream.send(this.callId, piece);
      }
    } catch (thrown) {
      // What the core has of the call it may forget. Sinks hear nothing before `open` has returned.
      stream.cancel(this.callId);
      queueMicrotask(() => this.fail(RrError.from(thrown)));
    }
  }

  // Where it goes.

  goTo(stream: DispatchStream<ClientCall>): void {
    this.#stream = stream;
    // All of it is said anew.
    this.#untakenBytes = 0;
    const said = this.#said ?? [];
    this.#send({ case: "open", value: this.#openCommand() }, stream);
    for (const command of said) if (!this.#over) this.#send(command, stream);
  }

  #openCommand(): OpenCall {
    const { pool, context, body, codec, moreBody, idempotent, requestId, windowBytes, timeoutMs } = this.#request;
    const unlimitedWindow = windowBytes === Number.POSITIVE_INFINITY;
    return {
      $typeName: "roadrunner.dispatch.v1.OpenCall",
      pool,
      context,
      body,
      codec,
      moreBody,
      idempotent,
      requestId,
      windowBytes: unlimitedWindow ? 0 : windowBytes,
      timeoutMs,
      attemptsLeft: this.attemptsLeft,
      unlimitedWindow,
    };
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
    this.#windowWaiters.wakeAll();
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
    try {
      this.#take(event);
    } catch (thrown) {
      // All calls share the stream: what is wrong with one must not break it for the others.
      this.#sinkThrew(RrError.from(thrown));
    }
  }

  #sinkThrew(error: RrError): void {
    this.#stream?.cancel(this.callId);
    this.#end();
    try {
      this.#sink.failed(error);
    } catch {
      // It was told what it threw itself.
    }
    this.#windowWaiters.wakeAll();
  }

  #take(event: CallEvent["event"]): void {
    switch (event.case) {
      case "reply":
        this.answered = true;
        this.#answeredBy = this.#stream;
        this.#receive(event.value.context.length + event.value.body.length);
        if (!event.value.more) this.#end();
        return this.#sink.reply(event.value);
      case "error":
        return this.#failed(fromErrorDetail(event.value));
      case "taken":
        this.#accepted();
        this.#untakenBytes -= event.value.bytes;
        if (this.#untakenBytes <= CALL_WINDOW_BYTES / 2) this.#windowWaiters.wakeAll();
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

  #receive(bytes: number): void {
    this.#window ??= this.#stream!.window;
    if (this.#released) this.#window.released(bytes);
    else this.#heldBytes += bytes;
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

/** What `taken` counts. */
function payloadBytes(command: Command): number {
  return command.case === "body" || command.case === "file" ? command.value.data.length : 0;
}
