import type { Waiting } from "../async/turns.ts";
import type { PieceLimits } from "../grpc/dispatch-sizes.ts";
import type { ReplyPart } from "../worker/execution.ts";
import { SpilledReply, type SpillRules } from "./spilled-reply.ts";
import { type Patience, Stall } from "./stall.ts";

/** What the replies of all calls of a stream share. */
export interface ReplyStream {
  readonly limits: PieceLimits;
  readonly spillRules: SpillRules;
  readonly patience: Patience;
  /** What flows hold in memory, all together; they count it themselves. */
  heldBytes: number;
  /** With more of it complete replies are put on the disk. */
  readonly heldBytesMax: number;
  /** Not too much waits for the reader. */
  readonly hasRoom: boolean;
  /** How far a call may be ahead of its grants. */
  readonly aheadBytesMax: number;
  /** Has a turn when there is room. */
  awaitRoom(flow: Waiting): void;
  /** Has a turn when calls may be further ahead. */
  awaitWindow(flow: Waiting): void;
  leave(flow: Waiting): void;
  /** So much is about to come (or not, if negative) and is not in what waits yet. */
  reserve(bytes: number): void;
}

export interface ReplyFlowOwner {
  /** Not longer than a message allows. */
  send(part: ReplyPart, pid: number): void;
  /** The worker may go on. */
  resumeWorker(): void;
  /** A head does not fit in a message; nothing of it was sent. */
  headTooLarge(bytes: number): void;
  /** What was put away cannot be read again. */
  replyLost(thrown: unknown): void;
}

/** What a worker says at a time, about. */
const PART_BYTES = 64 * 1024;
const NO_BYTES: Buffer = Buffer.alloc(0);

/**
 * A reply on its way from a worker to the stream: in pieces that a message can hold, no further than the caller's window,
 * and only as fast as the stream is read. What a worker had said when it was asked to wait is kept until then. If that takes
 * long, the worker may say the rest as well: it waits on the disk, as long as there is room for it.
 */
export class ReplyFlow implements Waiting {
  readonly #stream: ReplyStream;
  readonly #owner: ReplyFlowOwner;
  #windowBytes: number;
  /** Sent and not granted again. */
  #aheadBytes = 0;
  /** Comes next. */
  #held: ReplyPart[] = [];
  #heldBytes = 0;
  /** Comes after what is held. */
  #spilled: SpilledReply | undefined;
  #reading = false;
  /** Undefined until the worker has to wait. */
  #stall: Stall | undefined;
  #pid = 0;
  /** The last part has come. */
  #complete = false;
  #workerWaits = false;
  /** The worker sends bit by bit. */
  #streamed = false;
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
    this.#streamed ||= part.streamed === true;
    if (part.context.length > this.#stream.limits.payloadBytes) this.#owner.headTooLarge(part.context.length);
    else if (this.#mayBeSent(part)) this.#send(part);
    else if (this.#spilled) this.#spilled.push(part);
    else {
      this.#held.push(part);
      this.#sendHeld();
      this.#keepOrMove();
    }
    if (this.#complete || this.#over) return true;
    this.#workerWaits = !this.#mayGoOn();
    if (this.#workerWaits) this.#beginToWait();
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
    if (this.#held.length > 0) {
      this.#sendHeld();
      this.#countHeld();
    }
    if (this.#held.length === 0 && this.#spilled) this.#unspill(this.#spilled);
    if (!this.#workerWaits || this.#over || this.#complete) return;
    if (this.#mayGoOn()) this.#goOn();
    else this.#beginToWait();
  }

  /** Nobody wants the rest, or all was sent. */
  end(): void {
    this.#over = true;
    this.#held = [];
    this.#countHeld();
    this.#stall?.cancel();
    this.#spilled?.release();
    this.#spilled = undefined;
    this.#stream.leave(this);
  }

  #beginToWait(): void {
    if (this.#spilled) return;
    this.#stall ??= new Stall(this.#stream.spillRules.clock, this.#stream.patience, () => this.#spill());
    this.#stall.begin();
  }

  #goOn(): void {
    this.#stall?.end();
    this.#workerWaits = false;
    this.#owner.resumeWorker();
  }

  /** The reader is slow: the worker says the rest to the disk. */
  #spill(): void {
    const { spillRules } = this.#stream;
    const bytesMax = this.#streamed ? spillRules.streamBytesMax : spillRules.replyBytesMax;
    if (this.#over || this.#complete || !this.#workerWaits || bytesMax === 0) return;
    // Other slow readers have it all, or the disk is full. Later, perhaps.
    if (!spillRules.spill.available) return this.#stall?.again();
    this.#moveToDisk(bytesMax);
    this.#goOn();
  }

  /** What is held goes first: it is what a message can hold, but a thousand calls hold a thousand of it. */
  #moveToDisk(bytesMax: number): void {
    this.#spilled = new SpilledReply(this.#stream.spillRules, bytesMax, () => this.turn());
    for (const part of this.#held.splice(0)) this.#spilled.push(part);
    this.#countHeld();
  }

  /** A reply that is complete needs no worker that would tell that nobody takes it: it counts what all such replies hold. */
  #keepOrMove(): void {
    this.#countHeld();
    const { spillRules, heldBytesMax } = this.#stream;
    if (!this.#complete || this.#held.length === 0 || this.#stream.heldBytes <= heldBytesMax) return;
    if (spillRules.replyBytesMax > 0 && spillRules.spill.available) this.#moveToDisk(spillRules.replyBytesMax);
  }

  #countHeld(): void {
    const bytes = this.#held.reduce((sum, { context, body }) => sum + context.length + body.length, 0);
    this.#stream.heldBytes += bytes - this.#heldBytes;
    this.#heldBytes = bytes;
  }

  /** Brings back what may be sent now. */
  #unspill(spilled: SpilledReply): void {
    if (this.#reading) return;
    if (spilled.empty) {
      spilled.release();
      this.#spilled = undefined;
    } else if (!this.#stream.hasRoom) this.#stream.awaitRoom(this);
    else if (this.#allowance > 0) void this.#read(spilled, Math.min(PART_BYTES, this.#allowance));
    else if (this.#windowBytes > 0) this.#stream.awaitWindow(this);
  }

  async #read(spilled: SpilledReply, bytes: number): Promise<void> {
    this.#reading = true;
    this.#stream.reserve(bytes);
    try {
      const parts = await spilled.read(bytes);
      if (this.#over || parts === undefined) return;
      this.#held.push(...parts);
      this.#countHeld();
      setImmediate(() => this.turn());
    } catch (thrown) {
      if (!this.#over) this.#owner.replyLost(thrown);
    } finally {
      this.#reading = false;
      this.#stream.reserve(-bytes);
    }
  }

  /** At once, and whole. */
  #mayBeSent({ context, body }: ReplyPart): boolean {
    const bytes = context.length + body.length;
    if (this.#held.length > 0 || this.#spilled || bytes > PART_BYTES) return false;
    return bytes <= this.#stream.limits.pieceBytes && this.#stream.hasRoom && this.#mayBeAhead(bytes);
  }

  #mayBeAhead(bytes: number): boolean {
    return this.#windowBytes > 0 && this.#aheadBytes + bytes <= this.#stream.aheadBytesMax;
  }

  get #allowance(): number {
    return Math.min(this.#windowBytes, this.#stream.aheadBytesMax - this.#aheadBytes);
  }

  /** Whether a worker may say more now; else this flow waits for what it lacks. */
  #mayGoOn(): boolean {
    if (this.#spilled) return this.#spilled.hasRoom;
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
      const [piece, left] = cut(part!, bytes);
      this.#held = left === undefined ? rest : [left, ...rest];
      this.#send(piece);
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

  #send(part: ReplyPart): void {
    const bytes = part.context.length + part.body.length;
    this.#windowBytes -= bytes;
    this.#aheadBytes += bytes;
    this.#owner.send(part, this.#pid);
    if (!part.more) this.end();
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
