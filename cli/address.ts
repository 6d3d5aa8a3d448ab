import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import type { ConfigurationSource } from "../src/config/load.ts";
import { RrError, systemErrorCode } from "../src/errors.ts";
import { formatAddress, hostPort } from "../src/net/address.ts";
import type { CoreLocation, GlobalOptions } from "./invocation.ts";
import type { Environment } from "./terminal.ts";

export const DEFAULT_ADDRESS = "tcp://127.0.0.1:6002";
export const DEFAULT_CONFIG_FILE = ".rr.yaml";

/** Where the core is: `--address`, else RRCTL_ADDRESS, else `control.listen` of the configuration, else the default. */
export async function locateCore(globals: GlobalOptions, env: Environment): Promise<CoreLocation> {
  if (globals.address !== undefined) return { address: dialAddress(globals.address, globals.cwd), source: "--address" };
  if (env.RRCTL_ADDRESS !== undefined && env.RRCTL_ADDRESS !== "")
    return { address: dialAddress(env.RRCTL_ADDRESS, globals.cwd), source: "RRCTL_ADDRESS" };
  return (await configuredLocation(globals, env)) ?? { address: DEFAULT_ADDRESS, source: "the default" };
}

async function configuredLocation(globals: GlobalOptions, env: Environment): Promise<CoreLocation | undefined> {
  const text = await readIfThere(resolve(globals.cwd, globals.configFile), globals.configFileGiven);
  if (text === undefined) return undefined;
  // The loader checks the whole file, which takes longer than most commands and would let a mistake anywhere in it
  // stop them all: it is asked only if the address can be in there.
  const mentioned =
    /\bcontrol\b|^\s*"?include\b/m.test(text) || globals.overrides.some((key) => key.startsWith("control."));
  if (!mentioned) return undefined;
  const { loadConfiguration } = await import("../src/config/load.ts");
  const { configuration } = loadConfiguration(configurationSource(globals, env));
  const { listen } = configuration.control;
  return {
    address: dialAddress(formatAddress(listen), configuration.workingDirectory),
    source: `control.listen of ${globals.configFile}`,
  };
}

/** What the loader of configurations takes, from the command line. */
export function configurationSource(globals: GlobalOptions, env: Environment): ConfigurationSource {
  return {
    file: globals.configFile,
    cwd: globals.cwd,
    env,
    overrides: globals.overrides,
    dotenv: globals.dotenv,
    workingDirectory: globals.workingDirectory,
  };
}

async function readIfThere(file: string, required: boolean): Promise<string | undefined> {
  try {
    return await readFile(file, "utf8");
  } catch (thrown) {
    const code = systemErrorCode(thrown);
    if (!required && (code === "ENOENT" || code === "ENOTDIR")) return undefined;
    throw new RrError("CONFIG_INVALID", `cannot read the configuration file ${file}: ${code ?? thrown}`, {
      cause: thrown,
    });
  }
}

/**
 * An address to connect to, checked: "tcp://host:port", "host:port", ":port" or "unix://path". A server's wildcard
 * address ("0.0.0.0", "[::]" or none) becomes the loopback one; a relative socket path starts from the directory.
 */
export function dialAddress(text: string, directory: string): string {
  const socketPath = text.startsWith("unix:") ? text.replace(/^unix:(\/\/)?/, "") : "";
  if (socketPath !== "") return `unix://${resolve(directory, socketPath)}`;
  const tcp = /^(?:tcp:\/\/)?(\[[^\]]*\]|[^:/[\]]*):(\d{1,5})$/.exec(text);
  const port = Number(tcp?.[2]);
  if (!tcp || port < 1 || port > 65_535)
    throw new RrError(
      "INVALID_REQUEST",
      `address "${text}": expected tcp://host:port, host:port or unix:///path/of/socket`,
    );
  const host = tcp[1]!.replace(/^\[|\]$/g, "");
  if (host === "" || host === "0.0.0.0") return `tcp://127.0.0.1:${port}`;
  return `tcp://${hostPort(host === "::" ? "::1" : host, port)}`;
}

/** The core runs on this machine, as far as the address tells: its process can be looked at. */
export function isLocal(address: string): boolean {
  return address.startsWith("unix:") || /^tcp:\/\/(127\.|localhost:|\[::1\]:)/.test(address);
}
