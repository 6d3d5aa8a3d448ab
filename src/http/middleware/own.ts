import { existsSync } from "node:fs";
import { extname } from "node:path";
import { pathToFileURL } from "node:url";
import type { MiddlewareHandler } from "hono";
import { RrError, systemErrorCode } from "../../errors.ts";
import { observe } from "../answer.ts";
import { headerName } from "../header-names.ts";
import type { FrontendEnv, Middleware } from "../middleware.ts";
import type { RequestScope } from "../request-scope.ts";

/**
 * Loads middleware of a user's own: a module whose default export is a Hono middleware.
 *
 * @param path absolute
 * @throws RrError CONFIG_INVALID, naming the file and what is wrong with it
 */
export async function loadOwnMiddleware(path: string): Promise<Middleware> {
  const handler = defaultExport(await importModule(path));
  if (typeof handler === "function") return wrapped(handler as MiddlewareHandler<FrontendEnv>);
  const found =
    handler === undefined ? "there is none" : `it is ${handler === null ? "null" : `of type ${typeof handler}`}`;
  throw unusable(
    path,
    `its default export must be a Hono middleware, (c, next) => ..., and ${found}: write \`export default async (c, next) => { await next(); }\``,
  );
}

/** A module that was translated to CommonJS has its exports one level deeper. */
function defaultExport(module: { default?: unknown }): unknown {
  const exported = module.default;
  const isTranslated = typeof exported === "object" && exported !== null && "default" in exported;
  return isTranslated ? exported.default : exported;
}

/** Lets it see the response, and takes over what it says of the request. */
function wrapped(handler: MiddlewareHandler<FrontendEnv>): Middleware {
  return (context, next) => {
    const scope = context.env;
    context.set("requestId", scope.requestId);
    if (scope.remoteAddress !== undefined) context.set("remoteAddress", scope.remoteAddress);
    const onward = async (): Promise<void> => {
      const attributes = context.get("attributes");
      if (attributes !== undefined) scope.attributes = { ...scope.attributes, ...attributesOf(attributes) };
      takeRequestHeaders(scope, context.get("requestHeaders"));
      scope.remoteAddress = context.get("remoteAddress");
      await next();
    };
    return observe(context, onward, (observed) => Promise.resolve(handler(context, observed)));
  };
}

/** Attributes are lists of texts: what a worker can be told. */
function attributesOf(attributes: unknown): Record<string, string[]> {
  if (typeof attributes !== "object" || attributes === null)
    throw new TypeError(`c.set("attributes", ...) expects names and values, got ${String(attributes)}`);
  const texts: Record<string, string[]> = {};
  for (const [name, value] of Object.entries(attributes))
    if (value !== undefined && value !== null) texts[name] = [value].flat().map((one) => textOf(name, one));
  return texts;
}

function textOf(name: string, value: unknown): string {
  if (typeof value === "string") return value;
  if (typeof value === "number" || typeof value === "boolean" || typeof value === "bigint") return String(value);
  throw new TypeError(
    `the attribute "${name}" must be a text or a list of texts, got ${JSON.stringify(value)}: use JSON.stringify for more`,
  );
}

function takeRequestHeaders(scope: RequestScope, headers: unknown): void {
  for (const [name, value] of Object.entries(headers ?? {})) {
    if (!headerName(name).valid || CONTROL.test(String(value)))
      throw new TypeError(`c.set("requestHeaders", ...): ${JSON.stringify({ [name]: value })} is no header`);
    scope.setRequestHeader(name, String(value));
  }
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: those are what is looked for
const CONTROL = /[\0-\x08\x0a-\x1f\x7f]/;

async function importModule(path: string): Promise<{ default?: unknown }> {
  if (!existsSync(path)) throw unusable(path, "it does not exist");
  try {
    return await import(pathToFileURL(path).href);
  } catch (error) {
    if (systemErrorCode(error) !== "ERR_UNKNOWN_FILE_EXTENSION") throw unusable(path, reasonOf(error), error);
    return importTypeScript(path);
  }
}

/** Node loads TypeScript by itself from version 22.18 on; before, tsx does if it is installed. */
async function importTypeScript(path: string): Promise<{ default?: unknown }> {
  const advice = `Node ${process.versions.node} cannot load ${extname(path)} files: use Node 22.18 or later, run \`npm install tsx\` beside the server, or write it in JavaScript (.mjs)`;
  let tsx: { tsImport(url: string, parent: string): Promise<{ default?: unknown }> };
  try {
    const name = "tsx/esm/api";
    tsx = await import(name);
  } catch (error) {
    throw unusable(path, advice, error);
  }
  try {
    return await tsx.tsImport(pathToFileURL(path).href, import.meta.url);
  } catch (error) {
    throw unusable(path, reasonOf(error), error);
  }
}

/** The first line of what it threw, with the line of the file if the stack tells. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return `it threw ${String(error)}`;
  const place = /^(?:file:\/\/)?\S+:(\d+)$/m.exec(error.stack?.split("\n")[0] ?? "")?.[1];
  return `${error.name}: ${error.message.split("\n")[0]}${place === undefined ? "" : ` (line ${place})`}`;
}

function unusable(path: string, reason: string, cause?: unknown): RrError {
  return new RrError("CONFIG_INVALID", `http.middleware: ${path} cannot be used: ${reason}`, {
    cause,
    metadata: { path },
  });
}
