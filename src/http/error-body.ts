import { STATUS_CODES } from "node:http";
import type { RrError } from "../errors.ts";

export interface ToldError {
  /** Header of the request. */
  readonly accept: string | undefined;
  /** "GET /path" */
  readonly request: string;
  readonly status: number;
  readonly error: RrError;
  /** All that is known may be shown. */
  readonly debug: boolean;
  /** The message may be shown, whoever reads it. */
  readonly explain: boolean;
  readonly requestId: string;
}

export const HTML = "text/html; charset=utf-8";
const TEXT = "text/plain; charset=utf-8";
const PROBLEM = "application/problem+json";
const EMPTY = Buffer.alloc(0);

/**
 * What a client is told of a failure, in the form that it asks for: a problem document (RFC 9457), a page for browsers,
 * or plain text. Who may not know more than the status gets nothing, or a problem document that says no more.
 */
export function errorBody(told: ToldError): [contentType: string, body: Buffer] {
  const { accept = "", debug, explain, error } = told;
  if (accept.includes(PROBLEM)) return [PROBLEM, Buffer.from(JSON.stringify(problemOf(told)))];
  if (debug) return accept.includes("text/html") ? [HTML, Buffer.from(page(told))] : [TEXT, Buffer.from(text(told))];
  return explain ? [TEXT, Buffer.from(`${error.message}\n`)] : ["", EMPTY];
}

function problemOf({ status, error, debug, explain, requestId }: ToldError): Record<string, unknown> {
  const problem = { type: "about:blank", title: STATUS_CODES[status], status, request_id: requestId };
  if (!debug) return explain ? { ...problem, detail: error.message } : problem;
  const outputs = Object.fromEntries(outputsOf(error).map(([, text, member]) => [member, text]));
  return { ...problem, detail: error.message, reason: error.reason, ...outputs };
}

function text({ error }: ToldError): string {
  const outputs = outputsOf(error).map(([title, output]) => `\n${title}:\n${output}\n`);
  return `${error.reason}: ${error.message}\n${outputs.join("")}`;
}

/** Whatever stands in it came from outside: all of it is escaped. */
function page(told: ToldError): string {
  const { status, error, request, requestId } = told;
  const title = `${status} ${STATUS_CODES[status] ?? ""}`;
  const sections = outputsOf(error).map(([name, output]) => `<h2>${name}</h2><pre>${escapeHtml(output)}</pre>`);
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>${title}</title><style>${STYLE}</style></head><body>
<h1>${title}</h1>
<p><b>${error.reason}</b> at <code>${escapeHtml(request)}</code>, request <code>${escapeHtml(requestId)}</code></p>
<pre>${escapeHtml(error.message)}</pre>
${sections.join("\n")}
<p><small>Shown because <code>pool.debug</code> is on.</small></p>
</body></html>
`;
}

const STYLE =
  "body{font:1rem/1.5 sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem}" +
  "pre{background:#f4f4f4;overflow:auto;padding:1rem;white-space:pre-wrap}";

/** What PHP said, with the names it has for people and for programs. */
function outputsOf({ metadata }: RrError): [title: string, text: string, member: string][] {
  const outputs: [string, string | undefined, string][] = [
    ["Printed to standard output", metadata.stray_output, "stray_output"],
    ["Printed, and written to the error output", metadata.last_output, "last_output"],
  ];
  return outputs.filter((output): output is [string, string, string] => output[1] !== undefined);
}

const ESCAPES: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ESCAPES[character]!);
}
