import { getRequestListener } from "@hono/node-server";
import { Hono } from "hono";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import type { CoreClient } from "../client/core-client.ts";
import type { StatusOptions } from "../config/options.ts";
import { RrError } from "../errors.ts";
import type { Log } from "../log.ts";
import { refuseBadHead } from "./head-rules.ts";
import { type Listener, type ListenTarget, openListener, shown } from "./listener.ts";
import { FrontendStatistics } from "./statistics.ts";
import { CHECKS, type Check, type CoreHealth, checkResults, LIVE, unreachable } from "./status-checks.ts";

export interface StatusServerSettings {
  readonly options: StatusOptions;
  /** One or several with the same pools: what they have counts together. */
  readonly cores: readonly CoreClient[];
  /** `ending`: this server stops, and its cores do not. */
  readonly readiness: { readonly ending: boolean };
  readonly log: Log;
  readonly listen: ListenTarget;
}

/** Whoever checks asks for little, and often on one connection. */
const LIMITS = {
  maxHeaderBytes: 16 * 1024,
  headersMax: 256,
  maxConnections: 0,
  headerTimeoutMs: 10_000,
  requestTimeoutMs: 10_000,
  keepAliveTimeoutMs: 75_000,
};

/** What those say that can be reached; rejects if there is none. */
async function askCores(cores: readonly CoreClient[], timeoutMs: number): Promise<CoreHealth[]> {
  const call = { signal: AbortSignal.timeout(timeoutMs) };
  const answers = await Promise.allSettled(cores.map((core) => core.server.getHealth({}, call)));
  const reports = answers.flatMap((answer) =>
    answer.status === "fulfilled" && answer.value.health ? [answer.value.health] : [],
  );
  const [first] = answers;
  if (reports.length > 0) return reports;
  if (call.signal.aborted)
    throw new RrError("DEADLINE_EXCEEDED", `no core answered within ${timeoutMs} ms (status.check_timeout)`);
  throw first?.status === "rejected" ? first.reason : new RrError("UNAVAILABLE", "there is no core");
}

/**
 * Serves /live, /startup, /ready, /health and /jobs.
 *
 * @throws RrError FAILED_PRECONDITION: the address is in use or may not be used
 */
export async function startStatusServer(settings: StatusServerSettings): Promise<Listener> {
  const { options, cores, readiness, log, listen } = settings;
  const app = new Hono();
  const unavailable = options.unavailableStatus as ContentfulStatusCode;
  const results = async (check: Check, wanted: readonly string[]) => {
    try {
      const reports = await askCores(cores, options.checkTimeoutMs);
      return checkResults(check, reports, { wanted, ending: readiness.ending, unavailableStatus: unavailable });
    } catch (thrown) {
      const { message } = RrError.from(thrown);
      log.warn({ event: "status.check_failed", check }, message);
      return unreachable(message, unavailable);
    }
  };
  // That this process answers is all it says: who asks it decides whether to end the server.
  app.get("/live", (context) => context.json(LIVE));
  for (const check of CHECKS)
    app.get(`/${check}`, async (context) => {
      const answer = await results(check, context.req.queries("plugin") ?? []);
      const worst = Math.max(...answer.map(({ status_code }) => status_code));
      return context.json(answer, worst as ContentfulStatusCode);
    });
  app.get("/jobs", (context) => context.text("jobs plugin not found", unavailable));
  const state = { draining: false };
  const answer = getRequestListener(app.fetch);
  const { address, close } = await openListener({
    target: listen,
    addressKey: "status.address",
    limits: LIMITS,
    handle: (incoming, outgoing) => {
      if (!refuseBadHead(incoming, outgoing, LIMITS.headersMax)) void answer(incoming, outgoing);
    },
    statistics: new FrontendStatistics(),
    log,
    state,
  });
  log.info({ event: "status.listening", host: address.host, port: address.port }, `Status on ${shown(address)}`);
  return { address, close };
}
