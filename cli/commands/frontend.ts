import { RrError } from "../../src/errors.ts";
import { dialAddress, locateCore } from "../address.ts";
import { readCredentials } from "../credentials.ts";
import type { Command } from "../invocation.ts";

interface FrontendOptions {
  /** As given, each with one address or several after commas. */
  core?: string[];
  silent?: boolean;
}

/** Runs frontends without a core in this process's children until it is stopped. */
export const run: Command<FrontendOptions> = async ({ globals, options, env }) => {
  const { configFile, cwd, workingDirectory, overrides, dotenv } = globals;
  const cores =
    options.core === undefined ? [(await locateCore(globals, env)).address] : coreAddresses(options.core, cwd);
  const credentials = await readCredentials(globals, env);
  const { serveFrontends } = await import("../../src/main.ts");
  const settings = { configFile, cwd, workingDirectory, env, overrides, dotenv, silent: options.silent ?? false };
  return await serveFrontends({ ...settings, cores, credentials });
};

/** Throws INVALID_REQUEST for what is no address, and for none or the same one twice. */
export function coreAddresses(given: readonly string[], cwd: string): string[] {
  const words = given.flatMap((text) => text.split(",")).map((text) => text.trim());
  const addresses = words.filter((text) => text !== "").map((text) => dialAddress(text, cwd));
  if (addresses.length === 0)
    throw new RrError("INVALID_REQUEST", "--core: expected addresses such as 10.0.0.5:6002,10.0.0.6:6002");
  const twice = addresses.find((address, at) => addresses.indexOf(address) !== at);
  if (twice !== undefined) throw new RrError("INVALID_REQUEST", `--core: ${twice} stands there twice`);
  return addresses;
}
