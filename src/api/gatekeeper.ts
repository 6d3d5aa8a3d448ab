import type { CallContext } from "nice-grpc-common";
import { Refusals } from "../access/refusals.ts";
import { type MethodAccess, mayCall } from "../access/role.ts";
import { RrError } from "../errors.ts";
import type { EventLog } from "../events/event-log.ts";
import type { Log } from "../log.ts";
import { type Caller, setCaller } from "./caller.ts";
import { callerAt, type Door } from "./door.ts";

/** Decides for every call who makes it and whether he may. Whoever is turned away is told of in the log and as an event. */
export class Gatekeeper {
  readonly #access: ReadonlyMap<string, MethodAccess>;
  readonly #events: EventLog;
  readonly #log: Log;
  readonly #refusals = new Refusals();

  constructor(access: ReadonlyMap<string, MethodAccess>, events: EventLog, log: Log) {
    this.#access = access;
    this.#events = events;
    this.#log = log;
  }

  /** Throws UNAUTHENTICATED or PERMISSION_DENIED; afterwards `callerOf` the context is known. */
  admit(door: Door, path: string, context: CallContext): void {
    let caller: Caller | undefined;
    try {
      caller = callerAt(door, context);
      this.#check(caller, path);
    } catch (thrown) {
      this.#refused(RrError.from(thrown), path, context, caller);
      throw thrown;
    }
    setCaller(context, caller);
  }

  #check({ role, actor }: Caller, path: string): void {
    const access = this.#access.get(path);
    if (access !== undefined && mayCall(role, access)) return;
    const method = path.slice(path.lastIndexOf("/") + 1);
    const needed = access?.role ?? "admin";
    throw new RrError(
      "PERMISSION_DENIED",
      `${method} needs the role ${needed}, and ${actor} has the role ${role}: ask with a token or certificate of that role`,
      { metadata: { method: path, role, role_needed: needed } },
    );
  }

  #refused(error: RrError, path: string, { peer }: CallContext, caller: Caller | undefined): void {
    const unsaid = this.#refusals.count();
    if (unsaid === undefined) return;
    const more = unsaid === 0 ? "" : ` (and ${unsaid} more before it)`;
    const message = `a call of ${path} from ${caller?.actor ?? peer} was refused: ${error.message}${more}`;
    this.#log.warn({ event: "control.refused", method: path, peer, reason: error.reason }, message);
    this.#events.record("control.refused", {
      reason: error.reason,
      message,
      actor: caller?.actor ?? peer,
      attributes: { method: path, peer, refused_before: unsaid === 0 ? undefined : unsaid },
    });
  }
}
