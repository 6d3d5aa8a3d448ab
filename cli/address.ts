import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { resolve } from "node:path";
import type { ConfigurationSource } from "../src/config/load.ts";
import { RrError, systemErrorCode } from "../src/errors.ts";
import { formatAddress, hostPort } from "../src/net/address.ts";
import type { CoreLocation, GlobalOptions } from "./invocation.ts";
import type { Environment } from "./terminal.ts";

export const DEFAULT_ADDRESS = "tcp://127.0.0.1:6002";
export const DEFAULT_CONFIG_FILE = ".rr.yaml";

/**
 * Where the core is: `--address`, else RRCTL_ADDRESS, else where a server of the configuration has noted itself down, else
 * `control.listen` of the configuration. Without a configuration: the usual port of this machine.
 */
export async function locateCore(globals: GlobalOptions, env: Environment): Promise<CoreLocation> {
  if (globals.address !== undefined) return { address: dialAddress(globals.address, globals.cwd), source: "--address" };
  if (env.RRCTL_ADDRESS !== undefined && env.RRCTL_ADDRESS !== "")
    return { address: dialAddress(env.RRCTL_ADDRESS, globals.cwd), source: "RRCTL_ADDRESS" };
  const isOverridden = globals.overrides.some((key) => key.trim().startsWith("control.listen"));
  const running = isOverridden ? undefined : await runningServer(globals, env);
  const found = running ?? (await configuredLocation(globals, env));
  if (found) return found;
  const file = resolve(globals.cwd, globals.configFile);
  if (process.platform === "win32" || !existsSync(file)) return { address: DEFAULT_ADDRESS, source: "the default" };
  throw new RrError(
    "UNAVAILABLE",
    `no server runs with ${file}: start it with \`rrctl serve\`, or name another one with --address`,
    { metadata: { config_file: file } },
  );
}

/** By what a server of this configuration, of this user or one that he trusts, has noted down. */
async function runningServer(globals: GlobalOptions, env: Environment): Promise<CoreLocation | undefined> {
  const { findServers } = await import("../src/presence/find-server.ts");
  const { runSettings } = await import("../src/presence/run-folders.ts");
  const { cwd, configFile } = globals;
  const file = resolve(cwd, configFile);
  const servers = await findServers(configFile, cwd, env.PWD, runSettings(env, tmpdir()));
  const [server, ...others] = servers;
  if (server === undefined) return undefined;
  if (others.length === 0) return { address: server.address, source: `the server of ${configFile}, pid ${server.pid}` };
  const list = servers.map(({ pid, address }) => `${address} (pid ${pid})`).join(", ");
  throw new RrError("INVALID_REQUEST", `${servers.length} servers run with ${file}: name one with --address: ${list}`);
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
  if (listen === undefined) return undefined;
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
