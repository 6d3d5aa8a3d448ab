import { StartTerminal } from "./terminal.ts";

/** What a signal asks for; docs/operations.md has the same table. */
export const SIGNAL_MEANINGS = {
  SIGTERM: "end",
  SIGINT: "end",
  SIGQUIT: "end",
  /** A terminal's last signal as well as what service managers send for "reload". */
  SIGHUP: "reset, or end if the terminal is gone",
  SIGUSR2: "reset",
  SIGUSR1: "reopen logs",
} as const satisfies Partial<Record<NodeJS.Signals, string>>;

export type HandledSignal = keyof typeof SIGNAL_MEANINGS;

export interface SignalHandlers {
  end(signal: HandledSignal): void;
  reset(signal: HandledSignal): void;
  reopenLogs(signal: HandledSignal): void;
}

/** Where signals come from: the process. */
interface SignalSource {
  on(signal: HandledSignal, listener: () => void): unknown;
}

/** Takes all signals over from the system, whose answer to most of them is to end the process at once. */
export function handleSignals(
  handlers: SignalHandlers,
  source: SignalSource = process,
  terminal: Pick<StartTerminal, "isGone"> = new StartTerminal(),
): void {
  for (const signal of Object.keys(SIGNAL_MEANINGS) as HandledSignal[])
    source.on(signal, () => {
      const meaning = SIGNAL_MEANINGS[signal];
      if (meaning === "end") handlers.end(signal);
      else if (meaning === "reopen logs") handlers.reopenLogs(signal);
      else if (meaning !== "reset" && terminal.isGone) handlers.end(signal);
      else handlers.reset(signal);
    });
}

/** For processes whose parent decides: signals to a whole group, or to the wrong process, change nothing. */
export function ignoreSignals(source: SignalSource = process): void {
  for (const signal of Object.keys(SIGNAL_MEANINGS) as HandledSignal[]) source.on(signal, () => {});
}
