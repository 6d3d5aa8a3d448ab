import { type Event, Severity } from "../../gen/roadrunner/event/v1/event_service_pb.ts";
import { timeMs } from "../message-data.ts";
import type { Colour } from "../output/colour.ts";
import { formatTime, printable } from "../output/format.ts";
import type { Page } from "../output/output.ts";

const SEVERITY_COLOURS: Record<Severity, Colour> = {
  [Severity.UNSPECIFIED]: "dim",
  [Severity.INFO]: "cyan",
  [Severity.WARNING]: "yellow",
  [Severity.ERROR]: "red",
};

/** One line: time, type, pool and process, message, reason and further values. */
export function eventLine(event: Event, page: Page): string {
  const { paint } = page;
  const time = timeMs(event.time);
  const subject = [event.pool, event.pid === 0 ? "" : `pid ${event.pid}`].filter((part) => part !== "").join(" ");
  const attributes = Object.entries(event.attributes).map(([name, value]) => `${name}=${quoted(value)}`);
  if (event.reason !== "") attributes.unshift(`reason=${quoted(event.reason)}`);
  if (event.actor !== "") attributes.unshift(`by=${quoted(event.actor)}`);
  return `${[
    paint("dim", time === undefined ? "-" : formatTime(time, page.nowMs)),
    paint(SEVERITY_COLOURS[event.severity] ?? "dim", printable(event.type).padEnd(16)),
    printable(subject).padEnd(14),
    printable(event.message),
    paint("dim", attributes.map(printable).join(" ")),
  ]
    .join("  ")
    .trimEnd()}\n`;
}

function quoted(value: string): string {
  return /^[^\s"=]+$/.test(value) ? value : JSON.stringify(value);
}
