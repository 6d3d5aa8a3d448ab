import { readFile } from "node:fs/promises";
import { hostname, userInfo } from "node:os";
import { resolve } from "node:path";
import type { CoreCredentials } from "../src/client/core-credentials.ts";
import { RrError, systemErrorCode } from "../src/errors.ts";
import type { GlobalOptions } from "./invocation.ts";
import type { Environment } from "./terminal.ts";

/** Where what is shown to the core is named: an option, or else a variable. */
const SOURCES = {
  tokenFile: ["--token-file", "RRCTL_TOKEN_FILE"],
  tlsCa: ["--tls-ca", "RRCTL_TLS_CA"],
  tlsCert: ["--tls-cert", "RRCTL_TLS_CERT"],
  tlsKey: ["--tls-key", "RRCTL_TLS_KEY"],
} as const;

export type CredentialFiles = { readonly [Name in keyof typeof SOURCES]?: string | undefined };

/** What this caller shows of itself. Any of the TLS files makes the connection an encrypted one. */
export async function readCredentials(globals: GlobalOptions, env: Environment): Promise<CoreCredentials> {
  const read = (name: keyof typeof SOURCES) => readNamed(name, globals, env);
  const [token, ca, cert, key] = await Promise.all([read("tokenFile"), read("tlsCa"), read("tlsCert"), read("tlsKey")]);
  if ((cert === undefined) !== (key === undefined))
    throw new RrError("INVALID_REQUEST", "--tls-cert and --tls-key belong together: name both");
  const tls = [ca, cert, key].some((text) => text !== undefined) ? { ca, cert, key } : undefined;
  return { token: token?.trim(), tls };
}

async function readNamed(
  name: keyof typeof SOURCES,
  { credentials, cwd }: GlobalOptions,
  env: Environment,
): Promise<string | undefined> {
  const [option, variable] = SOURCES[name];
  const given = credentials[name];
  const path = given ?? env[variable];
  if (path === undefined || path === "") return undefined;
  try {
    const text = await readFile(resolve(cwd, path), "utf8");
    if (text.trim() !== "") return text;
  } catch (thrown) {
    const code = systemErrorCode(thrown) ?? String(thrown);
    const source = given === undefined ? variable : option;
    throw new RrError("INVALID_REQUEST", `${source} ${path}: cannot be read (${code})`, { cause: thrown });
  }
  throw new RrError("INVALID_REQUEST", `${given === undefined ? variable : option} ${path}: the file is empty`);
}

/** Who this is, for people who read the server's events. */
export function callerName(env: Environment): string {
  let user = "";
  try {
    user = userInfo().username;
  } catch {
    // A user without a name.
    user = `uid ${process.getuid?.() ?? "unknown"}`;
  }
  const behind = env.SUDO_USER === undefined || env.SUDO_USER === user ? "" : ` for ${env.SUDO_USER}`;
  return `${user}${behind}, rrctl, pid ${process.pid} on ${hostname()}`;
}
