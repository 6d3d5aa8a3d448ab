import type { Log } from "../log.ts";

/** What is known of a request when it is over. */
export interface AccessRecord {
  readonly status: number;
  readonly method: string;
  /** As in the request line. */
  readonly target: string;
  readonly host: string | undefined;
  readonly remoteAddress: string;
  readonly userAgent: string | undefined;
  readonly referer: string | undefined;
  /** The header, not what came. */
  readonly contentLength: string | undefined;
  readonly requestId: string;
  readonly readBytes: number;
  readonly writtenBytes: number;
  /** Milliseconds since 1970. */
  readonly startedMs: number;
  readonly elapsedMs: number;
}

export type AccessLog = (record: AccessRecord) => void;

/**
 * One line per request, with RoadRunner's field names: "http access log" if asked for, a short one for debugging else.
 * Undefined: nobody would read it.
 */
export function createAccessLog(log: Log, accessLogs: boolean): AccessLog | undefined {
  if (accessLogs) return (record) => log.info({ ...shortFields(record), ...longFields(record) }, "http access log");
  if (!log.debugEnabled) return undefined;
  return (record) => log.debug(shortFields(record), "http log");
}

function shortFields(record: AccessRecord): Record<string, unknown> {
  const target = oneLine(record.target);
  const question = target.indexOf("?");
  return {
    status: record.status,
    method: record.method,
    URI: target,
    URL: question < 0 ? target : target.slice(0, question),
    remote_address: record.remoteAddress,
    read_bytes: record.readBytes,
    write_bytes: record.writtenBytes,
    start: new Date(record.startedMs).toISOString(),
    elapsed: roundedMs(record.elapsedMs),
    request_id: record.requestId,
  };
}

function longFields(record: AccessRecord): Record<string, unknown> {
  const target = oneLine(record.target);
  const question = target.indexOf("?");
  return {
    query: question < 0 ? "" : target.slice(question + 1),
    content_len: record.contentLength === undefined ? 0 : Number(record.contentLength),
    host: oneLine(record.host ?? ""),
    user_agent: oneLine(record.userAgent ?? ""),
    referer: oneLine(record.referer ?? ""),
    time_local: timeLocal(new Date(record.startedMs)),
    request_time: roundedMs(record.elapsedMs),
  };
}

/** A line break in a value would let a client write log lines of its own. */
export function oneLine(text: string): string {
  return /[\r\n]/.test(text) ? text.replace(/[\r\n]/g, "") : text;
}

function roundedMs(milliseconds: number): number {
  return Math.round(milliseconds * 1000) / 1000;
}

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** "02/Jan/2006:15:04:05 -0700", with the year in two digits as RoadRunner writes it. */
export function timeLocal(date: Date): string {
  const two = (value: number) => String(value).padStart(2, "0");
  const offset = -date.getTimezoneOffset();
  const zone = `${offset < 0 ? "-" : "+"}${two(Math.floor(Math.abs(offset) / 60))}${two(Math.abs(offset) % 60)}`;
  const day = `${two(date.getDate())}/${MONTHS[date.getMonth()]}/${two(date.getFullYear() % 100)}`;
  return `${day}:${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())} ${zone}`;
}
