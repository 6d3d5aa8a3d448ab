import { readdirSync, readFileSync } from "node:fs";
import { Agent } from "node:http";
import { within } from "../support/eventually.ts";
import { send } from "../support/http-load.ts";
import { type ServerConfig, ServerProcess } from "../support/server-process.ts";
import type { Budget } from "./fuzzer.ts";

/** Longest that somebody else may wait for a small page while inputs are thrown at the server. */
const BYSTANDER_LIMIT_MS = 5_000;
const BYSTANDER_GIVES_UP_MS = 60_000;
/** Growth of one process over a run that is still no leak: heaps breathe. */
const GROWTH_BYTES_MAX = 96 * 1024 * 1024;
/** Descriptors that come and go with the fuzzer's own connections. */
const DESCRIPTORS_SLACK = 8;
const SETTLE_MS = 2_000;

interface Usage {
  readonly rssBytes: number;
  readonly descriptors: number;
}

/**
 * A real server under fire, and what must stay true of it meanwhile: somebody else is served, with the right answers, in
 * time; no process ends; nothing leaks.
 */
export class FuzzTarget {
  readonly server: ServerProcess;
  readonly #findings: string[] = [];
  #before: ReadonlyMap<number, Usage>;
  readonly #watch: Promise<void>;
  #over = false;
  #answers = 0;
  #longestMs = 0;

  private constructor(server: ServerProcess) {
    this.server = server;
    this.#before = usageOf(server.pid);
    this.#watch = this.#bystander();
  }

  /** Starts a server for one run of a fuzzer. */
  static async start(budget: Budget, config: ServerConfig = {}): Promise<FuzzTarget> {
    const server = await ServerProcess.start({ ...config, logs: { level: "error", ...config.logs } });
    const target = new FuzzTarget(server);
    budget.whenWarm = () => {
      target.#before = usageOf(server.pid);
    };
    return target;
  }

  /** Something that must not be. */
  found(text: string): void {
    if (this.#findings.length < 20) this.#findings.push(text);
  }

  /** Ends the run. Returns what is wrong and the figures, and stops the server. */
  async end(): Promise<{ findings: string[]; figures: Record<string, number | string> }> {
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
    this.#over = true;
    await this.#watch;
    await this.server.whole().catch((thrown: Error) => this.found(thrown.message));
    const growth = await this.#leaks();
    const figures = { bystander_answers: this.#answers, bystander_longest_ms: Math.round(this.#longestMs), ...growth };
    try {
      await this.server.stop();
    } catch (thrown) {
      this.found(`the server did not stop: ${(thrown as Error).message}`);
    }
    return { findings: this.#findings, figures };
  }

  async #bystander(): Promise<void> {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    for (let number = 0; !this.#over; number++) {
      const startedAtMs = performance.now();
      try {
        const answer = send(`${this.server.httpUrl}/echo?token-${number}`, { agent });
        const { status, body } = await within(BYSTANDER_GIVES_UP_MS, "the page came", answer);
        if (status !== 200 || body !== `token-${number}`)
          this.found(`somebody else got ${status} ${body.slice(0, 100)} in place of 200 token-${number}`);
        this.#answers++;
      } catch (thrown) {
        this.found(`somebody else's connection broke: ${String(thrown)}`);
      }
      const tookMs = performance.now() - startedAtMs;
      this.#longestMs = Math.max(this.#longestMs, tookMs);
      if (tookMs > BYSTANDER_LIMIT_MS) this.found(`somebody else waited ${Math.round(tookMs)} ms`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    agent.destroy();
  }

  async #leaks(): Promise<Record<string, number>> {
    const after = usageOf(this.server.pid);
    const growth: Record<string, number> = {};
    for (const [pid, { rssBytes, descriptors }] of this.#before) {
      const now = after.get(pid);
      const name = pid === this.server.pid ? "core" : "frontend";
      if (now === undefined) {
        this.found(`the ${name} (${pid}) ended: ${this.server.output.slice(-5).join(" | ")}`);
        continue;
      }
      growth[`${name}_grew_mb`] = Math.round((now.rssBytes - rssBytes) / 1024 / 1024);
      growth[`${name}_descriptors`] = now.descriptors - descriptors;
      if (now.rssBytes - rssBytes > GROWTH_BYTES_MAX) this.found(`the ${name} grew by ${growth[`${name}_grew_mb`]} MB`);
      if (now.descriptors - descriptors > DESCRIPTORS_SLACK)
        this.found(`the ${name} has ${now.descriptors - descriptors} descriptors more than before`);
    }
    return growth;
  }
}

/** The server and its frontends, which are programs of Node; PHP comes and goes. */
function usageOf(corePid: number): Map<number, Usage> {
  const usage = new Map<number, Usage>();
  const command = (pid: number) => readFileSync(`/proc/${pid}/cmdline`, "latin1");
  for (const pid of [corePid, ...childrenOf(corePid)]) {
    try {
      // A worker that has been forked and does not run PHP yet still looks like the core.
      if (pid !== corePid && command(pid) === command(corePid)) continue;
      if (!readFileSync(`/proc/${pid}/comm`, "utf8").match(/node|MainThread/)) continue;
      const rssKb = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1]!;
      usage.set(pid, { rssBytes: Number(rssKb) * 1024, descriptors: readdirSync(`/proc/${pid}/fd`).length });
    } catch {
      // It ended while it was looked at.
    }
  }
  return usage;
}

function childrenOf(pid: number): number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();
  return text === "" ? [] : text.split(" ").map(Number);
}
