import type {
  CallCommand,
  CallEvent,
  DispatchStreamRequest,
  DispatchStreamResponse,
  OpenCall,
} from "../../gen/roadrunner/dispatch/v1/dispatch_service_pb.ts";
import { RrError } from "../errors.ts";
import { IdMap } from "../id-map.ts";
import { errorEvent, type SessionServices, StreamCall } from "./stream-call.ts";

/** A message costs more than the events in it: so many turns of the event loop it may wait while each brings more. */
const BATCH_TURNS_MAX = 4;

/**
 * One dispatch stream: commands of many calls come in, events of many calls go out. Events leave in one message, after
 * the first turn of the event loop that brought none: an idle server waits for nothing, a busy one for a few answers.
 */
export class DispatchSession {
  readonly #services: SessionServices;
  readonly #calls = new IdMap<StreamCall>();
  #events: CallEvent[] = [];
  #wake: (() => void) | undefined;
  #inputEnded = false;

  constructor(services: SessionServices) {
    this.#services = services;
  }

  /** Takes commands until the caller ends its side. Cancels all open calls if it breaks. */
  async consume(requests: AsyncIterable<DispatchStreamRequest>): Promise<void> {
    try {
      for await (const request of requests) {
        for (const command of request.commands) this.#command(command);
        // A disk that is slower than all callers together stops the reading, and thereby the callers.
        const { room } = this.#services.intake.spool;
        if (room) await room;
      }
      this.#inputEnded = true;
      this.#wake?.();
    } catch {
      this.close();
    }
  }

  /** Batches of events until the caller has ended its side and no call is open. */
  async *output(): AsyncGenerator<DispatchStreamResponse> {
    for (;;) {
      if (this.#events.length === 0) {
        if (this.#inputEnded && this.#calls.size === 0) return;
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        this.#wake = undefined;
        continue;
      }
      const events = this.#events;
      this.#events = [];
      yield { $typeName: "roadrunner.dispatch.v1.DispatchStreamResponse", events };
    }
  }

  /** The caller is gone: nobody wants the replies. */
  close(): void {
    this.#inputEnded = true;
    for (const [callId, call] of this.#calls.entries()) {
      this.ended(callId);
      call.cancel();
    }
    this.#wake?.();
  }

  send(event: CallEvent): void {
    // The first event arms the wake-up; others join it.
    if (this.#events.push(event) === 1 && this.#wake) this.#wakeAfter(BATCH_TURNS_MAX, 0);
  }

  #wakeAfter(turns: number, eventsBefore: number): void {
    setImmediate(() => {
      const events = this.#events.length;
      if (turns > 0 && events > eventsBefore) this.#wakeAfter(turns - 1, events);
      else this.#wake?.();
    });
  }

  ended(callId: number): void {
    if (this.#calls.delete(callId)) this.#services.gate.left();
  }

  #command({ callId, command }: CallCommand): void {
    if (command.case === "open") {
      if (this.#services.gate.closed) this.send(errorEvent(callId, new RrError("DRAINING", "the server is stopping")));
      else if (this.#calls.has(callId)) this.send(errorEvent(callId, duplicateCall(callId)));
      else this.#open(callId, command.value);
      return;
    }
    // Commands of calls that have ended meanwhile are late, not wrong.
    const call = this.#calls.get(callId);
    if (!call) return;
    if (command.case === "grant") call.grant(command.value.bytes);
    else if (command.case === "body") call.body(command.value);
    else if (command.case === "file") call.file(command.value);
    else if (command.case === "cancel") {
      this.ended(callId);
      call.cancel();
      this.send(errorEvent(callId, new RrError("CANCELLED", "the caller cancelled the call")));
    }
  }

  #open(callId: number, open: OpenCall): void {
    this.#services.gate.entered();
    const call = new StreamCall(callId, open, this, this.#services);
    this.#calls.set(callId, call);
    call.start();
  }
}

function duplicateCall(callId: number): RrError {
  return new RrError("INVALID_REQUEST", `call id ${callId} is in use: choose one that no open call of the stream has`);
}
