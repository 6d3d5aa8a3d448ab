import { type Clock, systemClock } from "../clock.ts";
import { Deadline } from "./deadline.ts";

/** The moments of an end, all of them parts of one deadline. */
export interface EndPlan {
  /** New connections and calls are taken until then, so that load balancers notice first. */
  readonly accept: Deadline;
  /** What still runs then is cut off. */
  readonly cut: Deadline;
  /** Connections that are open then are closed; those whose requests were cut off have had their answer. */
  readonly close: Deadline;
  /** Every process has ended by then or is killed. */
  readonly gone: Deadline;
}

/** Between cutting off and the end of all processes: this share of the time, and not more than this. */
const MARGIN_SHARE = 0.2;
const MARGIN_MS_MAX = 2_000;
/** An end at once still lets answers out and processes say their last words. */
const END_MS_MIN = 500;
/** How much of the margin answers get to leave. */
const CLOSE_SHARE = 0.25;

/**
 * @param timeoutMs for all of it; 0: at once
 * @param acceptMs how long calls are still taken; half of the time at most, the rest is for what runs
 */
export function planEnd(timeoutMs: number, acceptMs = 0, clock: Clock = systemClock): EndPlan {
  const goneMs = Math.max(timeoutMs, END_MS_MIN);
  const cutMs = timeoutMs - Math.min(timeoutMs * MARGIN_SHARE, MARGIN_MS_MAX);
  return {
    accept: Deadline.after(Math.min(acceptMs, timeoutMs / 2), clock),
    cut: Deadline.after(cutMs, clock),
    close: Deadline.after(cutMs + (goneMs - cutMs) * CLOSE_SHARE, clock),
    gone: Deadline.after(goneMs, clock),
  };
}
