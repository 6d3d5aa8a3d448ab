import type { ErrorReason } from "../errors.ts";

/** Counts of one frontend since its start. */
export interface FrontendCounts {
  readonly openConnections: number;
  /** Connections refused because there were too many. */
  readonly refusedConnections: number;
  /** Requests that could not be parsed. */
  readonly badRequests: number;
  readonly openRequests: number;
  readonly requests: number;
  /** Clients that left before their response was complete. */
  readonly disconnects: number;
  readonly responseBodyBytes: number;
  /** By first digit: responses["2"] counts 200 to 299. 499 stands for clients that left before the head. */
  readonly responses: Readonly<Record<string, number>>;
  readonly failures: Readonly<Partial<Record<ErrorReason, number>>>;
}

export class FrontendStatistics {
  openConnections = 0;
  refusedConnections = 0;
  badRequests = 0;
  #openRequests = 0;
  #requests = 0;
  #disconnects = 0;
  #responseBodyBytes = 0;
  readonly #responses = [0, 0, 0, 0, 0, 0];
  readonly #failures: Partial<Record<ErrorReason, number>> = {};

  opened(): void {
    this.#openRequests++;
    this.#requests++;
  }

  closed(status: number, bodyBytes: number, left: boolean, reason: ErrorReason | undefined): void {
    this.#openRequests--;
    this.#responseBodyBytes += bodyBytes;
    this.#responses[Math.floor(status / 100)]!++;
    if (left) this.#disconnects++;
    if (reason !== undefined) this.#failures[reason] = (this.#failures[reason] ?? 0) + 1;
  }

  get openRequests(): number {
    return this.#openRequests;
  }

  counts(): FrontendCounts {
    const responses: Record<string, number> = {};
    for (const [digit, count] of this.#responses.entries()) if (digit > 0) responses[digit] = count;
    return {
      openConnections: this.openConnections,
      refusedConnections: this.refusedConnections,
      badRequests: this.badRequests,
      openRequests: this.#openRequests,
      requests: this.#requests,
      disconnects: this.#disconnects,
      responseBodyBytes: this.#responseBodyBytes,
      responses,
      failures: { ...this.#failures },
    };
  }
}
