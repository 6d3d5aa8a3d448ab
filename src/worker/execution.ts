import type { RrError } from "../errors.ts";
import type { WorkerRequest } from "../goridge/worker-protocol.ts";

/** A piece of what a worker answers. The buffers are views on what was read: copy what is kept. */
export interface ReplyPart {
  context: Buffer;
  body: Buffer;
  /** A number of roadrunner.dispatch.v1.Codec. */
  codec: number;
  /** More parts follow. */
  more: boolean;
  /** The application sends its answer bit by bit: nobody knows how long it will be, or whether it ends. */
  streamed?: boolean;
}

/** One call on one worker, as the worker sees it. Exactly one of the ends is called, once. */
export interface Execution {
  readonly request: WorkerRequest;
  /** For logs; "" if the caller gave none. */
  readonly requestId: string;
  /**
   * A part of the reply; `more: false` is an end. False: read no further until `Worker.resumeReply`.
   */
  reply(part: ReplyPart, pid: number): boolean;
  /** An end: the call failed. `answered`: parts of the reply were handed on before. */
  failed(error: RrError, answered: boolean): void;
  /** An end: the worker wants to be replaced and the call to run elsewhere. */
  rerun(): void;
  /** Before an end, and for abandoned calls too: the worker has read the request, or will not any more. */
  released(): void;
}
