import pino from "pino";
import { Deadline } from "../async/deadline.ts";
import { type Clock, systemClock } from "../clock.ts";
import { type Fields, type Log, silentLog } from "../log.ts";
import { consoleLine } from "./console-line.ts";
import { filePlace, type LogPlace, standardPlace } from "./log-channel.ts";
import { type LogTrouble, LogWriter } from "./log-writer.ts";

export interface LogSettings {
  readonly mode: "development" | "production" | "raw" | "none";
  readonly level: "debug" | "info" | "warn" | "error" | "fatal";
  readonly encoding: "console" | "json";
  /** "stdout", "stderr" and absolute paths. */
  readonly output: readonly string[];
  readonly channelLevels: Readonly<Record<string, string>>;
}

/** What only the process itself knows. */
export interface LogSurroundings {
  /** Whether lines for people are coloured there. */
  readonly colours: { readonly stdout: boolean; readonly stderr: boolean };
  readonly clock?: Clock;
  /** Takes secrets out of every line, which is JSON. */
  readonly redact?: (json: string) => string;
  /** Other places for the standard streams, in tests. */
  readonly standard?: (name: "stdout" | "stderr") => LogPlace;
}

export interface LogListener {
  failing(trouble: LogTrouble): void;
  /** `lost`: lines that were dropped meanwhile. */
  recovered(trouble: LogTrouble, lost: number): void;
}

interface Target {
  readonly writer: LogWriter;
  readonly format: (json: string) => string;
}

/** The same place in trouble again is told once in this time: a reader that is a little too slow fails all the time. */
const TELL_AGAIN_MS = 10_000;

/** How long the very end waits for readers. */
const END_WAIT_MS = 200;

/** Names of the standard streams in the file system: they cannot always be opened, what they stand for is open already. */
const STANDARD_PATHS: Readonly<Record<string, "stdout" | "stderr">> = {
  "/dev/stdout": "stdout",
  "/dev/fd/1": "stdout",
  "/proc/self/fd/1": "stdout",
  "/dev/stderr": "stderr",
  "/dev/fd/2": "stderr",
  "/proc/self/fd/2": "stderr",
};

/** The log of a process, and all places that its lines go to. Nothing that happens to these ends or holds up the process. */
export class LogOutput {
  readonly log: Log;
  readonly #surroundings: LogSurroundings;
  readonly #clock: Clock;
  readonly #targets: readonly Target[];
  /** For what people at the terminal are told, and for troubles that no other place takes. */
  readonly #standardError: LogWriter;
  readonly #listeners = new Set<LogListener>();
  readonly #told = new Map<string, Told>();

  constructor(settings: LogSettings, surroundings: LogSurroundings) {
    this.#surroundings = surroundings;
    this.#clock = surroundings.clock ?? systemClock;
    this.#targets = settings.mode === "none" ? [] : settings.output.map((output) => this.#target(output, settings));
    const target = this.#targets.find(({ writer }) => writer.name === "stderr");
    this.#standardError = target?.writer ?? this.#writer(this.#standardPlace("stderr"));
    this.log = settings.mode === "none" ? silentLog : wrap(this.#root(settings), settings.channelLevels);
  }

  /** Text for people on standard error, as it is. */
  print(text: string): void {
    this.#standardError.write(text);
  }

  /** Hears of places that cannot be written to. Returns how to stop. */
  listen(listener: LogListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Opens all places anew: a program that rotates logs has moved the files away. */
  reopen(): void {
    for (const writer of this.#writers) writer.reopen();
  }

  /** Lines that no place had room for since the process started. */
  get droppedLines(): number {
    return this.#writers.reduce((sum, writer) => sum + writer.droppedLines, 0);
  }

  /** Settles when everything is written that can be, or the time is up. */
  async flush(timeoutMs: number): Promise<void> {
    const settled = Promise.all(this.#writers.map((writer) => writer.settled()));
    await Deadline.after(timeoutMs, this.#clock).race(settled);
  }

  /** Writes what is left at once, and nothing after that: for the very end of the process, and without turns of its loop. */
  end(): void {
    const deadline = Deadline.after(END_WAIT_MS);
    for (const writer of this.#writers) writer.writeNow(deadline);
  }

  get #writers(): LogWriter[] {
    return [...new Set([...this.#targets.map(({ writer }) => writer), this.#standardError])];
  }

  #root(settings: LogSettings): pino.Logger {
    const targets = this.#targets;
    const { redact = (json: string) => json } = this.#surroundings;
    const stream = {
      write: (written: string) => {
        const json = redact(written);
        const line = UNSAFE_IN_JSON.test(json) ? json.replace(EACH_UNSAFE_IN_JSON, escapeInJson) : json;
        for (const { writer, format } of targets) writer.write(format(line));
      },
    };
    const options = {
      level: settings.level,
      base: null,
      timestamp: () => `,"ts":"${new Date().toISOString()}"`,
      formatters: { level: (label: string) => ({ level: label }) },
      messageKey: "msg",
    };
    return pino(options, stream);
  }

  #target(output: string, settings: LogSettings): Target {
    if (output === "stdout" || output === "stderr") {
      const colours = this.#surroundings.colours[output];
      return { writer: this.#writer(this.#standardPlace(output)), format: formatter(settings, colours) };
    }
    const standard = STANDARD_PATHS[output];
    // A file is read by programs: always JSON, whatever the terminal gets.
    const place = standard === undefined ? filePlace(output) : this.#standardPlace(standard);
    return { writer: this.#writer(place), format: (line) => line };
  }

  #standardPlace(name: "stdout" | "stderr"): LogPlace {
    return (this.#surroundings.standard ?? standardPlace)(name);
  }

  #writer(place: LogPlace): LogWriter {
    return new LogWriter(place, this.#clock, {
      failing: (trouble) => this.#failing(trouble),
      recovered: (trouble, lost) => this.#recovered(trouble, lost),
    });
  }

  #failing(trouble: LogTrouble): void {
    const nowMs = this.#clock.monotonicMs();
    const told = this.#told.get(trouble.place);
    if (told && nowMs - told.atMs < TELL_AGAIN_MS) return;
    this.#told.set(trouble.place, { atMs: nowMs, recovered: false, lost: told?.lost ?? 0 });
    const message = `the log cannot be written to ${trouble.place}: ${trouble.problem}; it is tried again, and lines that find no room meanwhile are dropped`;
    this.log.error({ channel: "log", place: trouble.place }, message);
    const heard = this.#targets.some(({ writer }) => !writer.failing);
    if (!heard && !this.#standardError.failing) this.print(`error: ${message}\n`);
    for (const listener of this.#listeners) listener.failing(trouble);
  }

  #recovered(trouble: LogTrouble, lost: number): void {
    const told = this.#told.get(trouble.place)!;
    told.lost += lost;
    if (told.recovered) return;
    told.recovered = true;
    const { place } = trouble;
    const message = `the log is written to ${place} again; ${told.lost} lines were dropped`;
    this.log.warn({ channel: "log", place, lost: told.lost }, message);
    for (const listener of this.#listeners) listener.recovered(trouble, told.lost);
    told.lost = 0;
  }
}

/** What was said of a place that was in trouble. */
interface Told {
  readonly atMs: number;
  recovered: boolean;
  /** Lines that were dropped and not told of yet. */
  lost: number;
}

/** `logger` is the name that RoadRunner's lines have for the channel. */
function named(fields: Fields): Fields {
  return typeof fields.channel === "string" ? { ...fields, logger: fields.channel } : fields;
}

function wrap(logger: pino.Logger, channelLevels: Readonly<Record<string, string>>): Log {
  return {
    debugEnabled: logger.isLevelEnabled("debug"),
    debug: (fields, message) => logger.debug(named(fields), message),
    info: (fields, message) => logger.info(named(fields), message),
    warn: (fields, message) => logger.warn(named(fields), message),
    error: (fields, message) => logger.error(named(fields), message),
    child: (fields) => {
      const level = typeof fields.channel === "string" ? channelLevels[fields.channel] : undefined;
      return wrap(logger.child(named(fields), level ? { level } : {}), channelLevels);
    },
  };
}

function formatter(settings: LogSettings, colours: boolean): (json: string) => string {
  if (settings.mode === "raw") return (json) => `${(JSON.parse(json) as { msg: string }).msg}\n`;
  if (settings.encoding === "json") return (json) => json;
  return (json) => consoleLine(JSON.parse(json) as Fields, colours);
}

/** Allowed in JSON as they are, and yet they steer terminals or end lines for some readers. */
const UNSAFE_IN_JSON = /[\x7f-\x9f\u2028\u2029]/;
const EACH_UNSAFE_IN_JSON = new RegExp(UNSAFE_IN_JSON.source, "g");

function escapeInJson(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
