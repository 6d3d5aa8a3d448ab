import type { Clock, StopTimer } from "../clock.ts";
import type { ErrorReason, RrError } from "../errors.ts";
import { type BodySource, isStopRequest, type WorkerProtocol, type WorkerReply } from "../goridge/worker-protocol.ts";
import type { Execution, ReplyPart } from "./execution.ts";
import type { WorkerChannel } from "./worker-channel.ts";

/** The worker that a call runs on. */
export interface RunOwner {
  readonly pid: number;
  readonly channel: WorkerChannel;
  readonly protocol: WorkerProtocol;
  readonly clock: Clock;
  /** Longest wait for the end of a stream whose caller has left. */
  readonly streamTimeoutMs: number;
  /** The worker goes on answering: its time starts anew. */
  progressed(): void;
  /** The worker is done with the call. Told before the last part is handed on. */
  finished(): void;
  /** The worker wants to be replaced, and the call to run elsewhere. */
  stopRequested(): void;
  /** The worker cannot be used any more. `text` goes on after "worker 12 of pool x". */
  broke(reason: ErrorReason, text: string): void;
}

const NO_BYTES: Buffer = Buffer.alloc(0);
/** An empty pipe takes so much in one write, or nothing if the other end is closed. */
const ONE_WRITE_BYTES = 64 * 1024;

/** One call on one worker: its request on the way there, its reply on the way back, and what becomes of both. */
export class CallRun {
  readonly #execution: Execution;
  readonly #owner: RunOwner;
  /** The request is still being written. */
  #feeding = false;
  /** Had the request not been taken, a failed write would have been the first sign of it. */
  #undelivered = false;
  /** Parts of the reply were handed on. */
  #answered = false;
  /** The reply is a stream: frames with "more" were seen. */
  #streaming = false;
  /** Whether more frames follow the one that is being read in pieces. */
  #moreAfterFrame = false;
  /** The worker waits to be told whether it may go on. */
  #pongOwed = false;
  #streamStopSent = false;
  /** Nobody wants the rest of the reply. */
  #abandoned = false;
  #stopAbandonTimer: StopTimer | undefined;
  #over = false;

  constructor(execution: Execution, owner: RunOwner) {
    this.#execution = execution;
    this.#owner = owner;
  }

  get requestId(): string {
    return this.#execution.requestId;
  }

  get feeding(): boolean {
    return this.#feeding;
  }

  /** If writing fails now, the worker has not read a byte of the request. */
  get undelivered(): boolean {
    return this.#undelivered;
  }

  /** The worker said something: it has read the request. */
  reached(): void {
    this.#undelivered = false;
  }

  start(): void {
    const { request } = this.#execution;
    this.#undelivered = !request.source && request.context.length + request.body.length < ONE_WRITE_BYTES;
    this.#owner.channel.write(this.#owner.protocol.encodeRequest(request));
    if (request.source) void this.#feed(request.source);
  }

  /** The rest of a request, as fast as the worker reads. */
  async #feed(source: BodySource): Promise<void> {
    let missingBytes = source.sizeBytes;
    this.#feeding = missingBytes > 0;
    try {
      for await (const chunk of source.chunks()) {
        if (this.#over) return;
        missingBytes -= chunk.length;
        // Not after the wait: the answer may be read before this side hears that its last bytes have left.
        if (missingBytes <= 0) this.#feeding = false;
        await this.#owner.channel.feed(chunk);
      }
    } catch (thrown) {
      if (!this.#over)
        this.#owner.broke("INTERNAL", `could not be given the whole request: ${(thrown as Error).message}`);
    }
  }

  reply(reply: WorkerReply): void {
    this.#undelivered = false;
    const more = reply.more || reply.missingBytes > 0;
    if (!more && !this.#answered && isStopRequest(reply.context, reply.body.length)) return this.#owner.stopRequested();
    this.#moreAfterFrame = reply.more;
    this.#streaming ||= reply.more;
    if (more) this.#owner.progressed();
    const goOn = this.#says(reply, more);
    if (!more) return;
    if (this.#abandoned) {
      if (this.#streaming) this.#endStream();
    } else if (reply.ping && goOn) this.#sendPong();
    else if (reply.ping) this.#pongOwed = true;
    if (!goOn) this.#owner.channel.pause();
  }

  /** Hands a message on; a piece of a stream with nothing in it says nothing. */
  #says({ context, body, codec }: WorkerReply, more: boolean): boolean {
    if (more && this.#answered && context.length === 0 && body.length === 0) return !this.#owner.channel.paused;
    // No codec bit: as it was asked.
    return this.#part({ context, body, codec: codec || this.#execution.request.codec, more });
  }

  replyContinues(data: Buffer, missingBytes: number): void {
    const more = missingBytes > 0 || this.#moreAfterFrame;
    const goOn = this.#part({ context: NO_BYTES, body: data, codec: 0, more });
    if (more && !goOn) this.#owner.channel.pause();
  }

  /** After `Execution.reply` returned false. */
  resume(): void {
    if (this.#pongOwed) this.#sendPong();
    this.#owner.channel.resume();
  }

  /**
   * Nobody wants the reply any more; the execution hears nothing further. A stream is asked to end, and may not take for
   * ever. A call that has not answered yet runs on to its own limit, since nothing can stop PHP in the middle without
   * harm.
   */
  abandon(): void {
    if (this.#abandoned) return;
    this.#abandoned = true;
    if (this.#streaming) this.#endStream();
    this.#owner.channel.resume();
  }

  /** The worker has nothing more to do with the call, or is gone. */
  end(): void {
    this.#over = true;
    this.#stopAbandonTimer?.();
    this.#execution.released();
  }

  fail(error: RrError): void {
    if (!this.#abandoned) this.#execution.failed(error, this.#answered);
  }

  rerun(): void {
    if (!this.#abandoned) this.#execution.rerun();
  }

  /** Hands a part on, unless nobody wants it. False: read no further. */
  #part(part: ReplyPart): boolean {
    if (!part.more) this.#owner.finished();
    if (this.#abandoned) return true;
    this.#answered = true;
    if (this.#streaming) part.streamed = true;
    return this.#execution.reply(part, this.#owner.pid);
  }

  #sendPong(): void {
    this.#pongOwed = false;
    const { channel, protocol } = this.#owner;
    if (protocol.pong) channel.answer(protocol.pong);
  }

  #endStream(): void {
    if (this.#streamStopSent) return;
    this.#streamStopSent = true;
    this.#pongOwed = false;
    const { channel, protocol, clock, streamTimeoutMs } = this.#owner;
    if (protocol.streamStop) channel.write([protocol.streamStop]);
    this.#stopAbandonTimer = clock.after(streamTimeoutMs, () => {
      const text = `went on with its stream for ${streamTimeoutMs} ms after its caller had left (pool.stream_timeout)`;
      this.#owner.broke("WORKER_EXITED", text);
    });
  }
}
