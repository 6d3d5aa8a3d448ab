/** Stops a timer; one that has fired or was stopped before is no error. */
export type StopTimer = () => void;

/** Time, as an argument: what decides by time, or waits for it, is tested with a clock that the test moves. */
export interface Clock {
  /** Milliseconds that never go back; only differences mean something. */
  monotonicMs(): number;
  /** Milliseconds since 1970. */
  wallMs(): number;
  /** Calls back once after so long, unless stopped. A wait of any length is kept: Node's own timers end at 24 days. */
  after(delayMs: number, callback: () => void): StopTimer;
}

/** What `setTimeout` can wait at most; anything longer it takes for 1 ms. */
const TIMER_MAX_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  after: (delayMs, callback) => {
    let timer: NodeJS.Timeout;
    const arm = (leftMs: number) => {
      timer = setTimeout(
        () => (leftMs > TIMER_MAX_MS ? arm(leftMs - TIMER_MAX_MS) : callback()),
        Math.min(leftMs, TIMER_MAX_MS),
      );
    };
    arm(delayMs);
    return () => clearTimeout(timer);
  },
};
