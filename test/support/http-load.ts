import { Agent, type IncomingMessage, request } from "node:http";

export interface Response {
  status: number;
  headers: IncomingMessage["headers"];
  body: string;
}

export interface SendOptions {
  method?: string;
  headers?: Record<string, string>;
  body?: string | Buffer;
  agent?: Agent;
}

/** One request, its response read to the end. Rejects if the connection breaks. */
export function send(url: string, { method = "GET", headers, body, agent }: SendOptions = {}): Promise<Response> {
  return new Promise((resolve, reject) => {
    const outgoing = request(url, { method, ...(headers && { headers }), ...(agent && { agent }) }, (incoming) => {
      const pieces: Buffer[] = [];
      incoming.on("data", (piece: Buffer) => pieces.push(piece));
      incoming.on("error", reject);
      incoming.on("end", () =>
        resolve({
          status: incoming.statusCode ?? 0,
          headers: incoming.headers,
          body: Buffer.concat(pieces).toString("latin1"),
        }),
      );
    });
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}

export interface LoadResult {
  responses: number;
  /** How many responses had each status; what is not 200 or broke is described, the first ones of them. */
  statuses: Map<number, number>;
  failures: string[];
}

const FAILURES_KEPT = 10;

/** So many keep-alive connections that send one request after the other, GET by default, until told to end. */
export class HttpLoad {
  readonly #agent: Agent;
  readonly #url: string;
  readonly #lanes: Promise<void>[];
  readonly #result: LoadResult = { responses: 0, statuses: new Map(), failures: [] };
  readonly #retryBroken: boolean;
  readonly #method: string;
  #ended = false;

  /** `retryBroken`: a connection that breaks is no failure, as browsers see it: they open another one. */
  constructor(url: string, connections: number, { retryBroken = false, method = "GET" } = {}) {
    this.#url = url;
    this.#method = method;
    this.#retryBroken = retryBroken;
    this.#agent = new Agent({ keepAlive: true, maxSockets: connections });
    this.#lanes = Array.from({ length: connections }, () => this.#lane());
  }

  get responses(): number {
    return this.#result.responses;
  }

  get result(): LoadResult {
    return this.#result;
  }

  async end(): Promise<LoadResult> {
    this.#ended = true;
    await Promise.all(this.#lanes);
    this.#agent.destroy();
    return this.#result;
  }

  async #lane(): Promise<void> {
    while (!this.#ended) await this.#once();
  }

  async #once(): Promise<void> {
    const { statuses, failures } = this.#result;
    try {
      const { status, body } = await send(this.#url, { method: this.#method, agent: this.#agent });
      this.#result.responses++;
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
      if (status !== 200 && failures.length < FAILURES_KEPT) failures.push(`${status} ${body.slice(0, 500)}`);
    } catch (thrown) {
      if (!this.#retryBroken && failures.length < FAILURES_KEPT) failures.push(String(thrown));
      if (this.#retryBroken) await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
}
