import { type Failure, failureData, renderFailure } from "../failure.ts";
import type { Terminal } from "../terminal.ts";
import { renderJson, renderJsonLine } from "./json.ts";
import type { Document, Feed, Output, OutputFormat, Page } from "./output.ts";

/** Prints what a command answered, in the chosen format; returns the exit code. */
export async function printOutput(output: Output, format: OutputFormat, terminal: Terminal): Promise<number> {
  if ("documents" in output) return printFeed(output, format, terminal);
  await terminal.write(await render(output, format, pageOf(terminal), false));
  for (const failure of output.failures ?? []) printFailure(failure, format, terminal);
  return output.failures?.[0]?.exitCode ?? 0;
}

/** On stderr; as JSON in one line if JSON was asked for. */
export function printFailure(failure: Failure, format: OutputFormat, terminal: Terminal): void {
  const text =
    format === "json" ? renderJsonLine(failureData(failure)) : renderFailure(failure, terminal.messages.paint);
  terminal.messages.write(text);
}

async function printFeed(feed: Feed, format: OutputFormat, terminal: Terminal): Promise<number> {
  const inPlace = feed.redraw && format === "table" && terminal.isTerminal;
  let first = true;
  for await (const document of feed.documents) {
    let content = await render(document, format, pageOf(terminal), true);
    if (inPlace) content = drawnOver(String(content), terminal.rows, first);
    else if (feed.redraw && format === "table" && !first) content = `\n${content}`;
    await terminal.write(content);
    first = false;
  }
  return 0;
}

/**
 * The text at the top of the screen, over what was there: each line is wiped behind its text instead of wiping the
 * screen first, which would flicker. What does not fit on the screen is left out, because it would scroll.
 */
export function drawnOver(text: string, rows: number | undefined, first: boolean): string {
  const lines = text.replace(/\n$/, "").split("\n");
  const shown = rows === undefined || lines.length < rows ? lines : lines.slice(0, rows - 1);
  return `${first ? "\x1b[2J" : ""}\x1b[H${shown.map((line) => `${line}\x1b[K\n`).join("")}\x1b[J`;
}

function pageOf(terminal: Terminal): Page {
  return { paint: terminal.paint, columns: terminal.columns, nowMs: Date.now() };
}

async function render(
  document: Document,
  format: OutputFormat,
  page: Page,
  ofFeed: boolean,
): Promise<string | Uint8Array> {
  if (format === "json") return ofFeed ? renderJsonLine(document.data) : renderJson(document.data);
  // Only who asks for YAML waits for its library.
  if (format === "yaml" && document.yaml !== undefined) return document.yaml;
  if (format === "yaml") return (await import("./yaml.ts")).renderYaml(document.data, ofFeed);
  return document.text(page);
}
