/** What a line of the log carries besides its message. */
export type Fields = Record<string, unknown>;

/** One event, one line: stable fields for programs, a message for people. How lines are written: `log/`. */
export interface Log {
  /** Whether lines of `debug` go anywhere: for who would have to gather fields first. */
  readonly debugEnabled: boolean;
  debug(fields: Fields, message: string): void;
  info(fields: Fields, message: string): void;
  warn(fields: Fields, message: string): void;
  error(fields: Fields, message: string): void;
  /** A log whose lines carry these fields too. `channel` also picks the level that the configuration gives it. */
  child(fields: Fields): Log;
}

export const silentLog: Log = {
  debugEnabled: false,
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  child: () => silentLog,
};
