import type { IncomingMessage, ServerResponse } from "node:http";
import type { Clock } from "../clock.ts";
import type { ErrorReason } from "../errors.ts";
import type { AccessLog } from "./access-log.ts";
import type { BodyCapture } from "./body-capture.ts";
import type { LateResponse } from "./late-response.ts";
import { textToBytes } from "./percent.ts";
import { requestIdFor } from "./request-id.ts";
import type { ResponseFilter } from "./response-filter.ts";
import type { FrontendStatistics } from "./statistics.ts";

/** What every request needs, whoever answers it. */
export interface ScopeServices {
  readonly accessLog: AccessLog | undefined;
  readonly statistics: FrontendStatistics;
  readonly clock: Clock;
  /** Longest time without progress while a client has bytes to read. */
  readonly writeIdleTimeoutMs: number;
  /** Connections are closed after the response under way. */
  readonly draining: boolean;
}

/**
 * One request from its head to the end of its response: what handlers find in `c.env`. Middleware writes here what it
 * adds to the request and how it wants to change the response. The outermost part of every chain, as it gives the
 * request its id, and counts and logs it when it is over, whoever answered.
 */
export class RequestScope {
  readonly incoming: IncomingMessage;
  readonly outgoing: ServerResponse;
  readonly services: ScopeServices;

  // Additions to the request.

  /** Reach PSR-7's getAttribute. */
  attributes: Record<string, string[]> | undefined = undefined;
  /** Name, value, name, value, ...: what the application sees in place of all that the client sent by these names. */
  requestHeaders: string[] | undefined = undefined;
  /** Of the client behind the proxies. */
  remoteAddress: string | undefined = undefined;

  /** If somebody might read the body before the application gets it. */
  capture: BodyCapture | undefined = undefined;

  // The response.

  /** In the order in which the request met them; the last one sees the response first. */
  filters: ResponseFilter[] | undefined = undefined;
  /** Sees the response before all of these, whoever answers. */
  innermost: ResponseFilter | undefined = undefined;
  /** Middleware that the request went through and that wants the response as a `Response` on its way back. */
  observers = 0;
  /** What the innermost of them that has not seen it yet gets, or the outermost got. */
  late: LateResponse | undefined = undefined;
  /** The response is written by whoever set this; what handlers return does not count. */
  taken = false;
  /** Bytes of the body, before and after filters; the latter only if there are any. */
  writtenBytes = 0;
  filteredBytes: number | undefined = undefined;
  readBytes = 0;
  failure: ErrorReason | undefined = undefined;
  /** Told when the response is over: whether all of it was handed to the connection. */
  whenClosed: ((complete: boolean) => void) | undefined = undefined;

  #requestId: string | undefined = undefined;
  readonly #startedMs: number;
  readonly #startedMonotonicMs: number;

  constructor(services: ScopeServices, incoming: IncomingMessage, outgoing: ServerResponse) {
    this.services = services;
    this.incoming = incoming;
    this.outgoing = outgoing;
    this.#startedMs = services.clock.wallMs();
    this.#startedMonotonicMs = services.clock.monotonicMs();
    services.statistics.opened();
    outgoing.once("close", () => this.#closed());
  }

  /** What logs know the request by. */
  get requestId(): string {
    return (this.#requestId ??= requestIdFor(this.incoming.headers["x-request-id"]));
  }

  /** The application sees this value in place of all that there are by this name. */
  setRequestHeader(name: string, value: string): void {
    const lowerName = name.toLowerCase();
    const headers = [];
    for (let at = 0; at < (this.requestHeaders?.length ?? 0); at += 2)
      if (this.requestHeaders![at]!.toLowerCase() !== lowerName)
        headers.push(this.requestHeaders![at]!, this.requestHeaders![at + 1]!);
    this.requestHeaders = headers.concat(name, textToBytes(value));
  }

  #closed(): void {
    const { accessLog, statistics, clock } = this.services;
    const { incoming, outgoing } = this;
    const complete = outgoing.writableFinished;
    this.whenClosed?.(complete);
    const status = complete || outgoing.headersSent ? outgoing.statusCode : CLIENT_LEFT;
    const writtenBytes = this.filteredBytes ?? this.writtenBytes;
    statistics.closed(status, writtenBytes, !complete, this.failure);
    if (accessLog === undefined) return;
    const { headers } = incoming;
    accessLog({
      status,
      method: incoming.method ?? "",
      target: incoming.url ?? "",
      host: headers.host,
      remoteAddress: this.remoteAddress ?? incoming.socket.remoteAddress ?? "",
      userAgent: headers["user-agent"],
      referer: headers.referer,
      contentLength: headers["content-length"],
      requestId: this.requestId,
      readBytes: this.readBytes,
      writtenBytes,
      startedMs: this.#startedMs,
      elapsedMs: clock.monotonicMs() - this.#startedMonotonicMs,
    });
  }
}

/** Never sent; access logs show it for a client that did not wait for the response. */
const CLIENT_LEFT = 499;
