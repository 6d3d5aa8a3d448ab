import { CertificateKeeper } from "../acme/certificate-keeper.ts";
import type { EndPlan } from "../async/end-plan.ts";
import type { ServerConfiguration } from "../config/options.ts";
import type { EventLog } from "../events/event-log.ts";
import type { Log } from "../log.ts";
import { type Address, plainAddress } from "../net/address.ts";
import { FrontendSupervisor, type ServerKind } from "./frontend-supervisor.ts";
import { type ListeningSocket, openListeningSocket } from "./listening-socket.ts";

export interface FrontendGroupOptions {
  readonly configuration: ServerConfiguration;
  /** What of the configuration is served. */
  readonly kinds: readonly ServerKind[];
  /** Arguments of Node that start a frontend. */
  readonly nodeArguments: readonly string[];
  readonly baseEnv: Readonly<Record<string, string | undefined>>;
  readonly log: Log;
  readonly events: EventLog;
  /** CoreCredentials: what frontends show to cores elsewhere. */
  readonly credentials?: unknown;
}

export const SERVER_KINDS: readonly ServerKind[] = ["http", "https", "fastcgi", "fileserver", "status"];

const SCHEMES: Readonly<Record<ServerKind, string>> = {
  http: "http",
  https: "https",
  fastcgi: "fastcgi",
  fileserver: "http",
  status: "http",
};

/** Everything of a configuration that listens for others than operators: the sockets, and the processes behind them. */
export class FrontendGroup {
  readonly #options: FrontendGroupOptions;
  readonly #sockets: { kind: ServerKind; options: unknown; socket: ListeningSocket }[] = [];
  #supervisor: FrontendSupervisor | undefined;
  /** There if one of the sockets needs it. */
  #certificates: CertificateKeeper | undefined;

  constructor(options: FrontendGroupOptions) {
    this.#options = options;
  }

  /** Processes that run. */
  get frontends(): FrontendSupervisor["frontends"] {
    return this.#supervisor?.frontends ?? [];
  }

  memoryBytes(): number {
    return this.#supervisor?.memoryBytes() ?? 0;
  }

  /** Where things are served; empty before `openSockets`. */
  addresses(...kinds: readonly ServerKind[]): string[] {
    return this.#sockets
      .filter(({ kind }) => kinds.includes(kind))
      .map(({ kind, socket }) => `${SCHEMES[kind]}://${plainAddress(socket.address)}`);
  }

  /** Rejects with FAILED_PRECONDITION naming the address, or the folder of ACME, that cannot be had. */
  async openSockets(): Promise<void> {
    const { kinds, configuration } = this.#options;
    for (const { kind, address, options, key } of wantedServers(configuration)) {
      if (!kinds.includes(kind)) continue;
      this.#sockets.push({ kind, options, socket: await openListeningSocket(address, key) });
    }
    const acme = configuration.http?.tls?.acme;
    if (acme === undefined || !kinds.includes("https")) return;
    const { events, log } = this.#options;
    this.#certificates = new CertificateKeeper(acme, { events, log: log.child({ channel: "acme" }) });
    // Before frontends start, which watch the folder.
    await this.#certificates.prepare();
  }

  /** Settles when all processes take connections. Rejects if one ends before that. */
  async start(cores: readonly string[]): Promise<void> {
    const { configuration, nodeArguments, baseEnv, log, events } = this.#options;
    if (this.#sockets.length === 0) return;
    this.#supervisor = new FrontendSupervisor({
      count: configuration.http?.frontends ?? 1,
      nodeArguments,
      servers: this.#sockets,
      assignment: { cores, credentials: this.#options.credentials, logs: configuration.logs },
      baseEnv,
      log,
      events,
    });
    await this.#supervisor.start();
    this.#certificates?.start();
  }

  /** Checks of readiness fail from now on. */
  drain(): void {
    this.#supervisor?.drain();
  }

  reopenLogs(): void {
    this.#supervisor?.reopenLogs();
  }

  /** Takes no connections from now on, lets what runs finish, ends the processes. */
  async stop(plan: EndPlan): Promise<void> {
    // First: as long as anyone holds the socket the kernel takes connections, and nobody would answer them.
    for (const { socket } of this.#sockets) socket.close();
    await Promise.all([this.#certificates?.close(), this.#supervisor?.stop(plan)]);
  }
}

interface WantedServer {
  readonly kind: ServerKind;
  readonly address: Address;
  readonly options: unknown;
  /** Where the address is configured, for messages. */
  readonly key: string;
}

function wantedServers({ http, fileServer, status }: ServerConfiguration): WantedServer[] {
  const wanted: (Omit<WantedServer, "address"> & { address: Address | undefined })[] = [
    { kind: "http", address: http?.address, options: http, key: "http.address" },
    { kind: "https", address: http?.tls?.address, options: http, key: "http.ssl.address" },
    { kind: "fastcgi", address: http?.fastCgi?.address, options: http, key: "http.fcgi.address" },
    { kind: "fileserver", address: fileServer?.address, options: fileServer, key: "fileserver.address" },
    { kind: "status", address: status?.address, options: status, key: "status.address" },
  ];
  return wanted.filter((one): one is WantedServer => one.address !== undefined);
}
