import type { IncomingMessage, ServerResponse } from "node:http";
import type { BrowserReloadOptions } from "../../config/options.ts";
import type { Log } from "../../log.ts";
import type { ResponseFilter } from "../response-filter.ts";
import { pageScriptText } from "./page-script.ts";
import { combined, type ReloadState, UNKNOWN } from "./reload-state.ts";
import { type ReloadEvents, watchReloads } from "./reload-watch.ts";
import { scriptFilter } from "./script-tag.ts";

/** So that proxies keep the streams, and clients that are gone are noticed. */
const BEAT_MS = 15_000;

/** Tells browsers of reloads: adds a script to pages, and serves the script and the stream of events that it reads. */
export class BrowserReload {
  readonly #eventPath: string;
  readonly #scriptPath: string;
  readonly #script: Buffer;
  readonly #states: ReloadState[];
  readonly #streams = new Set<ServerResponse>();
  readonly #ending = new AbortController();
  readonly #beat: NodeJS.Timeout;

  /** @param cores what each core tells of its events */
  constructor({ path }: BrowserReloadOptions, cores: readonly ReloadEvents[], log: Log) {
    this.#eventPath = path;
    this.#scriptPath = `${path}.js`;
    this.#script = Buffer.from(pageScriptText(path));
    this.#states = cores.map(() => UNKNOWN);
    this.#beat = setInterval(() => this.#send(":\n\n"), BEAT_MS).unref();
    cores.forEach((events, at) => {
      const publish = (state: ReloadState) => {
        this.#states[at] = state;
        this.#send(this.#message());
      };
      void watchReloads(events, publish, this.#ending.signal, log);
    });
  }

  /** For one response. To be asked for before the application runs: what a reset changes meanwhile is another version. */
  filter(): ResponseFilter {
    return scriptFilter(`${this.#scriptPath}?v=${combined(this.#states).version}`);
  }

  /** Answers a request that is for this and not for the application; false: it is not. */
  serve({ method, url = "" }: IncomingMessage, outgoing: ServerResponse): boolean {
    if (method !== "GET" || !url.startsWith(this.#eventPath)) return false;
    const query = url.indexOf("?");
    const path = query < 0 ? url : url.slice(0, query);
    if (path === this.#scriptPath) this.#sendScript(outgoing);
    else if (path === this.#eventPath) this.#open(outgoing);
    else return false;
    return true;
  }

  /** Ends all streams, which would keep the frontend from ending; browsers come again. */
  close(): void {
    clearInterval(this.#beat);
    this.#ending.abort();
    for (const stream of this.#streams) stream.end();
  }

  #sendScript(outgoing: ServerResponse): void {
    const length = String(this.#script.length);
    const type = "text/javascript; charset=utf-8";
    outgoing.writeHead(200, ["Content-Type", type, "Content-Length", length, "Cache-Control", "no-store"]);
    outgoing.end(this.#script);
  }

  #open(outgoing: ServerResponse): void {
    const isClosed = this.#ending.signal.aborted;
    if (isClosed) outgoing.shouldKeepAlive = false;
    // The last one is for nginx, which would collect the events.
    const noStore = ["Cache-Control", "no-store", "X-Accel-Buffering", "no"];
    outgoing.writeHead(200, ["Content-Type", "text/event-stream", ...noStore]);
    outgoing.write(Buffer.from(`retry: 500\n\n${this.#message()}`));
    if (isClosed) return void outgoing.end();
    this.#streams.add(outgoing);
    outgoing.once("close", () => this.#streams.delete(outgoing));
  }

  #message(): string {
    const { version, failures } = combined(this.#states);
    return `data: ${JSON.stringify({ version, failures: Object.values(failures) })}\n\n`;
  }

  #send(text: string): void {
    const bytes = Buffer.from(text);
    for (const stream of this.#streams) stream.write(bytes);
  }
}
