import { tmpdir } from "node:os";
import { exposureWarning } from "./access/exposure.ts";
import { controlEntrance } from "./api/entrance.ts";
import type { ApiServer } from "./api/server.ts";
import type { ServerConfiguration } from "./config/options.ts";
import { exposureOf } from "./config/resolve-control.ts";
import type { Log } from "./log.ts";
import type { Address } from "./net/address.ts";
import { Presence } from "./presence/presence.ts";
import { runSettings } from "./presence/run-folders.ts";

export interface ControlAddressesOptions {
  readonly configuration: ServerConfiguration;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly log: Log;
}

/** Where there are no sockets in the file system, this is what rrctl tries by itself. */
const WINDOWS_ADDRESS: Address = { kind: "tcp", host: "127.0.0.1", port: 6002 };

/** Where operators reach the server: what control.listen says, and the socket that rrctl finds by itself. */
export class ControlAddresses {
  readonly #closed = new AbortController();
  readonly #presence: Presence | undefined;
  /** As they were opened; that of control.listen first. */
  readonly addresses: string[] = [];
  /** What someone should look at. */
  readonly warnings: string[] = [];

  private constructor(presence: Presence | undefined) {
    this.#presence = presence;
  }

  /** Rejects with FAILED_PRECONDITION or CONFIG_INVALID: an address, or what it needs, cannot be had. */
  static async open(api: ApiServer, options: ControlAddressesOptions): Promise<ControlAddresses> {
    const control = new ControlAddresses(presenceOf(options));
    try {
      await control.#open(api, options);
      return control;
    } catch (thrown) {
      control.close();
      throw thrown;
    }
  }

  async #open(api: ApiServer, { configuration, log }: ControlAddressesOptions): Promise<void> {
    const { control } = configuration;
    const presence = this.#presence;
    const open = (address: Address) => api.listen(address, controlEntrance(address, control, this.#closed.signal, log));
    const listen = control.listen ?? (presence === undefined ? WINDOWS_ADDRESS : undefined);
    if (listen !== undefined) this.addresses.push(await open(listen));
    if (presence !== undefined && listen?.kind !== "unix")
      this.addresses.push(await presence.openSocket((path) => open({ kind: "unix", path })));
    await presence?.announce(this.addresses.at(-1)!);
    const warning = exposureWarning(exposureOf({ ...control, listen }));
    if (warning === undefined) return;
    this.warnings.push(warning);
    log.warn({ event: "control.open" }, warning);
  }

  close(): void {
    this.#closed.abort();
    this.#presence?.close();
  }
}

/** Undefined: a server without a file is found by its address alone, and so is one on Windows. */
function presenceOf({ configuration, env, log }: ControlAddressesOptions): Presence | undefined {
  const { configFile, control } = configuration;
  if (configFile === undefined || process.platform === "win32") return undefined;
  return Presence.claim({
    configFile,
    workingDirectory: process.cwd(),
    shownDirectory: env.PWD,
    settings: runSettings(env, tmpdir()),
    isShared: control.socket.group !== undefined || (control.socket.mode & 0o077) !== 0,
    log,
  });
}
