import type { MiddlewareHandler } from "hono";
import type { Clock } from "../clock.ts";
import type { HttpOptions } from "../config/options.ts";
import type { Log } from "../log.ts";
import type { HttpMetrics } from "./http-metrics.ts";
import type { RequestScope } from "./request-scope.ts";
import type { ResponseSink } from "./response-filter.ts";

/**
 * Middleware that works on Node's objects: it adds to the request and to the filters of the response, both of the scope.
 * If it answers the request itself, it returns how; otherwise the request goes on.
 */
export type Step = (scope: RequestScope) => Answer | undefined | Promise<Answer | undefined>;

/** Writes a response. */
export type Answer = (sink: ResponseSink) => void;

/**
 * What handlers of Hono find in the context: what belongs to the request in `c.env`, and the variables that a user's own
 * middleware may set.
 */
export type FrontendEnv = {
  Bindings: RequestScope;
  Variables: {
    requestId?: string;
    /** Reach PSR-7's getAttribute. */
    attributes?: Readonly<Record<string, unknown>>;
    /** Take the place of the client's. */
    requestHeaders?: Readonly<Record<string, string>>;
    remoteAddress?: string;
  };
};

export type Middleware = MiddlewareHandler<FrontendEnv>;

/** What middleware of a frontend shares. */
export interface MiddlewareServices {
  readonly clock: Clock;
  readonly metrics: HttpMetrics;
}

/** Makes a step, or says why it would have nothing to do. */
export type StepFactory = (options: HttpOptions, log: Log, services: MiddlewareServices) => Step | string;

/** Middleware by the name it has in `http.middleware`. */
export type MiddlewareRegistry = Readonly<Record<string, StepFactory>>;

/** The configured chain, outermost first. */
export interface Chain {
  /** What stands before the first middleware of a user's own. It runs without Hono, which costs less. */
  readonly steps: readonly Step[];
  /** The rest. */
  readonly inner: readonly ({ readonly step: Step } | { readonly own: Middleware })[];
}

/**
 * Makes the configured chain. A name that is not known here is skipped with a warning, as in RoadRunner.
 *
 * @param load middleware of a user's own, by the absolute path of its module
 * @throws RrError CONFIG_INVALID: what a middleware needs is not there
 */
export async function buildChain(
  registry: MiddlewareRegistry,
  load: (path: string) => Promise<Middleware>,
  options: HttpOptions,
  log: Log,
  services: MiddlewareServices,
): Promise<Chain> {
  const parts: Chain["inner"][number][] = [];
  for (const name of options.middleware) {
    // Paths are absolute by now, and names have no separators.
    if (/[/\\]/.test(name)) {
      parts.push({ own: await load(name) });
      continue;
    }
    const step = stepOf(registry, name, options, log, services);
    if (typeof step === "function") parts.push({ step });
    else log.warn({ event: "http.middleware_skipped", middleware: name }, `${step}: requests go on without it`);
  }
  const firstOwn = parts.findIndex((part) => "own" in part);
  const outer = firstOwn < 0 ? parts : parts.slice(0, firstOwn);
  return {
    steps: outer.flatMap((part) => ("step" in part ? [part.step] : [])),
    inner: parts.slice(outer.length),
  };
}

function stepOf(
  registry: MiddlewareRegistry,
  name: string,
  options: HttpOptions,
  log: Log,
  services: MiddlewareServices,
): Step | string {
  const create = Object.hasOwn(registry, name) ? registry[name] : undefined;
  if (create === undefined)
    return `http.middleware names "${name}", which this server does not have (known: ${Object.keys(registry).join(", ")})`;
  const step = create(options, log, services);
  return typeof step === "string" ? `the middleware "${name}" has nothing to do: ${step}` : step;
}

/** Runs steps in their order until one answers; `onward` is called if none does. */
export function runSteps(
  steps: readonly Step[],
  scope: RequestScope,
  onward: () => void,
  answered: (answer: Answer) => void,
  failed: (error: Error) => void,
  from = 0,
): void {
  try {
    for (let at = from; at < steps.length; at++) {
      const result = steps[at]!(scope);
      if (result === undefined) continue;
      if (!(result instanceof Promise)) return answered(result);
      const resume = (answer: Answer | undefined) => {
        // The client may have left meanwhile.
        if (scope.outgoing.destroyed) return;
        if (answer === undefined) runSteps(steps, scope, onward, answered, failed, at + 1);
        else answered(answer);
      };
      result.then(resume).catch(failed);
      return;
    }
    onward();
  } catch (thrown) {
    failed(thrown as Error);
  }
}
