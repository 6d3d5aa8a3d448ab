import type { Waiting } from "../async/turns.ts";
import type { PieceLimits } from "../grpc/dispatch-sizes.ts";
import type { ReplyPart } from "../worker/execution.ts";

/** What the replies of all calls of a stream share. */
export interface ReplyStream {
  readonly limits: PieceLimits;
  /** Not too much waits for the reader. */
  readonly hasRoom: boolean;
  /** How far a call may be ahead of its grants. */
  readonly aheadBytesMax: number;
  /** Has a turn when there is room. */
  awaitRoom(flow: Waiting): void;
  /** Has a turn when calls may be further ahead. */
  awaitWindow(flow: Waiting): void;
  leave(flow: Waiting): void;
}

export interface ReplyFlowOwner {
  /** Not longer than a message allows. */
  send(part: ReplyPart, pid: number): void;
  /** The worker may go on. */
  resumeWorker(): void;
  /** A head does not fit in a message; nothing of it was sent. */
  headTooLarge(bytes: number): void;
}

/** What a worker says at a time, about. */
const PART_BYTES = 64 * 1024;
const NO_BYTES: Buffer = Buffer.alloc(0);

/**
 * A reply on its way from a worker to the stream: in pieces that a message can hold, no further than the caller's window,
 * and only as fast as the stream is read. What a worker had said when it was asked to wait is kept until then.
 */
export class ReplyFlow implements Waiting {
  readonly #stream: ReplyStream;
  readonly #owner: ReplyFlowOwner;
  #windowBytes: number;
  /** Sent and not granted again. */
  #aheadBytes = 0;
  #held: ReplyPart[] = [];
  #pid = 0;
  /** The last part has come. */
  #complete = false;
  #workerWaits = false;
  #over = false;

  /** @param windowBytes Infinity: any number */
  constructor(windowBytes: number, stream: ReplyStream, owner: ReplyFlowOwner) {
    this.#windowBytes = windowBytes;
    this.#stream = stream;
    this.#owner = owner;
  }

  /** Takes what a worker says. False: the worker must wait. */
  accept(part: ReplyPart, pid: number): boolean {
    if (this.#over) return true;
    this.#pid = pid;
    this.#complete = !part.more;
    const bytes = part.context.length + part.body.length;
    const isSmall = bytes <= PART_BYTES && bytes <= this.#stream.limits.pieceBytes;
    if (isSmall && this.#held.length === 0 && this.#stream.hasRoom && this.#mayBeAhead(bytes)) this.#send(part, bytes);
    else {
      this.#held.push(part);
      this.#sendHeld();
    }
    if (this.#complete || this.#over) return true;
    this.#workerWaits = !this.#mayGoOn();
    return !this.#workerWaits;
  }

  /** The caller can take more. */
  grant(bytes: number): void {
    this.#windowBytes += bytes;
    this.#aheadBytes = Math.max(0, this.#aheadBytes - bytes);
    this.turn();
  }

  turn(): void {
    if (this.#over) return;
    if (this.#held.length > 0) this.#sendHeld();
    if (!this.#workerWaits || this.#over || this.#complete || !this.#mayGoOn()) return;
    this.#workerWaits = false;
    this.#owner.resumeWorker();
  }

  /** Nobody wants the rest. */
  end(): void {
    this.#over = true;
    this.#held = [];
    this.#stream.leave(this);
  }

  #mayBeAhead(bytes: number): boolean {
    return this.#windowBytes > 0 && this.#aheadBytes + bytes <= this.#stream.aheadBytesMax;
  }

  get #allowance(): number {
    return Math.min(this.#windowBytes, this.#stream.aheadBytesMax - this.#aheadBytes);
  }

  /** Whether a worker may say more now; else this flow waits for what it lacks. */
  #mayGoOn(): boolean {
    if (this.#held.length > 0) return false;
    if (!this.#stream.hasRoom) this.#stream.awaitRoom(this);
    else if (this.#allowance > 0) return true;
    else if (this.#windowBytes > 0) this.#stream.awaitWindow(this);
    return false;
  }

  #sendHeld(): void {
    while (this.#held.length > 0) {
      if (!this.#stream.hasRoom) return this.#stream.awaitRoom(this);
      const [part, ...rest] = this.#held;
      const bytes = this.#fitting(part!);
      if (bytes < 0) {
        if (this.#windowBytes > 0) this.#stream.awaitWindow(this);
        return;
      }
      if (part!.context.length > this.#stream.limits.payloadBytes)
        return this.#owner.headTooLarge(part!.context.length);
      const [piece, left] = cut(part!, bytes);
      this.#held = left === undefined ? rest : [left, ...rest];
      this.#send(piece, piece.context.length + piece.body.length);
    }
  }

  /** Bytes of the body that may leave with the part's head; -1: nothing may. */
  #fitting({ context, body }: ReplyPart): number {
    const { pieceBytes, payloadBytes } = this.#stream.limits;
    const allowance = this.#allowance;
    if (allowance <= 0 && context.length + body.length > 0) return -1;
    // What has begun may end, while all is well: cutting costs more than it saves.
    const aheadBytes = this.#stream.aheadBytesMax === Number.POSITIVE_INFINITY ? allowance + PART_BYTES : allowance;
    const room = Math.max(0, Math.min(aheadBytes, payloadBytes) - context.length);
    return Math.min(body.length, room, pieceBytes);
  }

  #send(part: ReplyPart, bytes: number): void {
    this.#windowBytes -= bytes;
    this.#aheadBytes += bytes;
    this.#owner.send(part, this.#pid);
  }
}

/** The head of a part with so many bytes of its body, and the rest of it. */
function cut(part: ReplyPart, bytes: number): [ReplyPart, ReplyPart | undefined] {
  if (bytes === part.body.length) return [part, undefined];
  const body = part.body.subarray(0, bytes);
  return [
    { ...part, body, more: true },
    { context: NO_BYTES, body: part.body.subarray(bytes), codec: part.codec, more: part.more },
  ];
}
