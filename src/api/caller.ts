import type { CallContext } from "nice-grpc-common";
import type { Role } from "../access/role.ts";

/** Who calls, as far as it is known. */
export interface Caller {
  readonly role: Role;
  /** For logs and events: the name of a token or certificate, or what a caller of this machine says of itself. */
  readonly actor: string;
}

const callers = new WeakMap<CallContext, Caller>();

export function setCaller(context: CallContext, caller: Caller): void {
  callers.set(context, caller);
}

/** Of a call that has passed the interceptor. */
export function callerOf(context: CallContext): Caller {
  const caller = callers.get(context);
  if (!caller) throw new Error("a call came in without its caller: it did not pass the interceptor");
  return caller;
}
