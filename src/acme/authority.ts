import { Agent } from "node:https";
import type { Client } from "acme-client";
import type { AcmeOptions } from "../config/options.ts";
import { readTextFile } from "../config/read-file.ts";
import { RrError, systemErrorCode } from "../errors.ts";
import { VERSION } from "../version.ts";

type Library = typeof import("acme-client");

/** How long one request to the authority may take. */
const REQUEST_TIMEOUT_MS = 30_000;
const RESPONSE_BYTES_MAX = 1_000_000;

interface Answer {
  readonly status: number;
  /** By name in lower case. */
  readonly headers: Readonly<Record<string, unknown>>;
}

/** An ACME authority, with an account there. */
export interface Authority {
  readonly client: Client;
  readonly crypto: Library["crypto"];
}

// The library has one HTTP client for all of the process, and so has what is hung into it. A server has one order at a
// time.
/** Of the last answer that asked to come back later; the library does not hand it on. */
let wish: { retryAfterMs: number } | undefined;
let prepared: Library | undefined;
let stopSignal: AbortSignal | undefined;

/**
 * @param signal breaks requests off
 * @throws RrError FAILED_PRECONDITION: the file of `directory_ca` cannot be read
 */
export async function connectAuthority(
  options: AcmeOptions,
  accountKey: string,
  signal: AbortSignal,
): Promise<Authority> {
  const library = await load();
  stopSignal = signal;
  wish = undefined;
  const { axios, crypto, Client } = library;
  const ca = authorities(options.directoryCaFile);
  axios.defaults.httpsAgent = ca === undefined ? undefined : new Agent({ ca });
  return { client: new Client({ directoryUrl: options.directoryUrl, accountKey }), crypto };
}

function authorities(file: string | undefined): string | undefined {
  if (file === undefined) return undefined;
  const read = readTextFile(file);
  if ("error" in read) throw new RrError("FAILED_PRECONDITION", `http.ssl.acme.directory_ca: ${read.error}`);
  return read.text;
}

/** Loaded with the first order: most servers never need it. */
async function load(): Promise<Library> {
  if (prepared !== undefined) return prepared;
  const library = await import("acme-client");
  const { axios } = library;
  axios.defaults.timeout = REQUEST_TIMEOUT_MS;
  axios.defaults.maxContentLength = RESPONSE_BYTES_MAX;
  axios.defaults.headers.common["User-Agent"] = `rrctl/${VERSION}`;
  axios.interceptors.request.use((config) => (stopSignal === undefined ? config : { ...config, signal: stopSignal }));
  // The library's own repeats requests: it would wait as long as the authority likes and could not be stopped, and of
  // failures without a response it loses the reason (5.4.0). Whoever orders tries again anyway.
  axios.interceptors.response.clear();
  axios.interceptors.response.use(noteWish, (error: { response?: Answer }) => {
    // To the library all responses are failures at first; it looks at the status later.
    if (error.response === undefined) throw error;
    return noteWish(error.response);
  });
  prepared = library;
  return library;
}

function noteWish<Response extends Answer>(response: Response): Response {
  const { status, headers } = response;
  if (status === 429 || status === 503) wish = { retryAfterMs: retryAfterMs(headers["retry-after"], Date.now()) };
  return response;
}

/** Value of a Retry-After header, seconds or a date, in milliseconds from now; 0: none. */
export function retryAfterMs(header: unknown, nowMs: number): number {
  if (typeof header !== "string" || header === "") return 0;
  const ms = /^\d+$/.test(header) ? Number(header) * 1000 : Date.parse(header) - nowMs;
  return Number.isFinite(ms) ? Math.max(0, ms) : 0;
}

const UNTRUSTED = /^(DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_(VERIFY|GET)\w+)$/;

/** What was thrown during an order, with what can be done about it. */
export function explained(thrown: unknown, { directoryUrl, directoryCaFile }: AcmeOptions): RrError {
  if (thrown instanceof RrError) return thrown;
  const code = systemErrorCode(thrown) ?? "";
  const { host } = new URL(directoryUrl);
  const text = (thrown as Error).message || code;
  const asked = wish;
  wish = undefined;
  const options = { cause: thrown, retryAfterMs: asked?.retryAfterMs ?? 0 };
  if (UNTRUSTED.test(code)) {
    const advice = directoryCaFile === undefined ? "name its authority in" : "see whether that is in the file of";
    const message = `the certificate of ${host} itself is not trusted (${text}): ${advice} http.ssl.acme.directory_ca`;
    return new RrError("FAILED_PRECONDITION", message, options);
  }
  if ((thrown as { isAxiosError?: boolean }).isAxiosError === true)
    return new RrError("UNAVAILABLE", `${host} does not answer: ${text}`, options);
  // A file that cannot be read or written.
  if (/^E[A-Z]+$/.test(code)) return new RrError("FAILED_PRECONDITION", text, options);
  return new RrError("UNAVAILABLE", `${host} refuses: ${text}`, options);
}
