import { CertificateKeeper } from "../acme/certificate-keeper.ts";
import type { EndPlan } from "../async/end-plan.ts";
import { every } from "../async/every.ts";
import type { ServerConfiguration } from "../config/options.ts";
import type { EventLog } from "../events/event-log.ts";
import type { Log } from "../log.ts";
import { type Address, plainAddress } from "../net/address.ts";
import { LOOK_EVERY_MS } from "../net/kept-socket.ts";
import type { SocketRights } from "../net/unix-socket.ts";
import { groupRights } from "../process/identity.ts";
import type { ServerKind } from "./frontend-messages.ts";
import { type FrontendReport, FrontendSupervisor } from "./frontend-supervisor.ts";
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

/** Where the cores are reached now; asked before every start of a process. */
type Cores = () => Promise<readonly string[]>;

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
  /** Serves checks, in a process of its own: it is there before there is anything to check, and while frontends are busy. */
  #statusSupervisor: FrontendSupervisor | undefined;
  #supervisor: FrontendSupervisor | undefined;
  /** There if one of the sockets needs it. */
  #certificates: CertificateKeeper | undefined;

  readonly #watches: AbortController[] = [];

  constructor(options: FrontendGroupOptions) {
    this.#options = options;
  }

  /** All places for frontends, those without a process as well. */
  get reports(): readonly (FrontendReport & { readonly servesStatus: boolean })[] {
    return this.#supervisors.flatMap((supervisor) =>
      supervisor.reports.map((report) => ({ ...report, servesStatus: supervisor === this.#statusSupervisor })),
    );
  }

  /** Why nobody who comes by HTTP can be served; undefined if nothing is to be served, or all is well. */
  get outage(): string | undefined {
    const lost = this.#sockets.find(({ socket }) => !socket.isInPlace);
    if (lost) return `the socket ${plainAddress(lost.socket.address)} was removed: restart the server to make it again`;
    return this.#supervisor?.outage;
  }

  get #supervisors(): FrontendSupervisor[] {
    return [this.#supervisor, this.#statusSupervisor].filter((one) => one !== undefined);
  }

  memoryBytes(): number {
    return this.#supervisors.reduce((sum, supervisor) => sum + supervisor.memoryBytes(), 0);
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
    for (const { kind, address, options, key, rights } of wantedServers(configuration)) {
      if (!kinds.includes(kind)) continue;
      const socket = await openListeningSocket(address, key, rights);
      this.#sockets.push({ kind, options, socket });
      if (address.kind === "unix") this.#watchPlace(socket);
    }
    const acme = configuration.http?.tls?.acme;
    if (acme === undefined || !kinds.includes("https")) return;
    const { events, log } = this.#options;
    this.#certificates = new CertificateKeeper(acme, { events, log: log.child({ channel: "acme" }) });
    // Before frontends start, which watch the folder.
    await this.#certificates.prepare();
  }

  /** Settles when checks are answered, if they are to be. Rejects as `start` does. */
  async startStatus(cores: Cores): Promise<void> {
    this.#statusSupervisor = this.#supervisorOf(["status"], 1, cores);
    await this.#statusSupervisor?.start();
  }

  /** Settles when all processes take connections. Rejects if one ends before that. */
  async start(cores: Cores): Promise<void> {
    const count = this.#options.configuration.http?.frontends ?? 1;
    this.#supervisor = this.#supervisorOf(["http", "https", "fastcgi", "fileserver"], count, cores);
    await this.#supervisor?.start();
    this.#certificates?.start();
  }

  /** Undefined: nothing of these kinds is to be served. */
  #supervisorOf(kinds: readonly ServerKind[], count: number, cores: Cores): FrontendSupervisor | undefined {
    const { configuration, nodeArguments, baseEnv, credentials, log, events } = this.#options;
    const servers = this.#sockets.filter(({ kind }) => kinds.includes(kind));
    if (servers.length === 0) return undefined;
    const { logs, http } = configuration;
    const identity = { user: http?.user, group: http?.group };
    const told = { cores, credentials, logs };
    return new FrontendSupervisor({ count, nodeArguments, servers, ...told, identity, baseEnv, log, events });
  }

  /** Checks of readiness fail from now on. */
  drain(): void {
    for (const supervisor of this.#supervisors) supervisor.drain();
  }

  reopenLogs(): void {
    for (const supervisor of this.#supervisors) supervisor.reopenLogs();
  }

  /** Takes no connections from now on, lets what runs finish, ends the processes; checks are still answered. */
  async stop(plan: EndPlan): Promise<void> {
    // First: as long as anyone holds the socket the kernel takes connections, and nobody would answer them.
    this.#closeSockets((kind) => kind !== "status");
    await Promise.all([this.#certificates?.close(), this.#supervisor?.stop(plan)]);
  }

  /** The last to go: until then checks are told what the server does. */
  async stopStatus(plan: EndPlan): Promise<void> {
    this.#closeSockets((kind) => kind === "status");
    await this.#statusSupervisor?.stop(plan);
  }

  /** Frontends have the socket already: it cannot be made again for them, but it can be told. */
  #watchPlace(socket: ListeningSocket): void {
    const watch = new AbortController();
    this.#watches.push(watch);
    const look = () => {
      if (socket.isInPlace) return;
      watch.abort();
      const path = plainAddress(socket.address);
      const message = `the socket ${path} was removed by somebody: nobody new can connect until the server is restarted`;
      this.#options.log.error({ event: "server.socket_lost", path }, message);
      this.#options.events.record("server.socket_lost", { message, attributes: { path, restored: "false" } });
    };
    every(LOOK_EVERY_MS, watch.signal, look, () => {});
  }

  #closeSockets(which: (kind: ServerKind) => boolean): void {
    for (const watch of this.#watches.splice(0)) watch.abort();
    for (const { kind, socket } of this.#sockets) if (which(kind)) socket.close();
  }
}

interface WantedServer {
  readonly kind: ServerKind;
  readonly address: Address;
  readonly options: unknown;
  /** Where the address is configured, for messages. */
  readonly key: string;
  /** Who may connect to a unix socket; undefined: this user alone. */
  readonly rights?: SocketRights | undefined;
}

function wantedServers({ http, fileServer, status }: ServerConfiguration): WantedServer[] {
  const wanted: (Omit<WantedServer, "address"> & { address: Address | undefined })[] = [
    { kind: "http", address: http?.address, options: http, key: "http.address" },
    { kind: "https", address: http?.tls?.address, options: http, key: "http.ssl.address" },
    {
      kind: "fastcgi",
      address: http?.fastCgi?.address,
      options: http,
      key: "http.fcgi.address",
      rights: http?.fastCgi && groupRights(http.fastCgi.mode, http.fastCgi.group, "http.fcgi"),
    },
    { kind: "fileserver", address: fileServer?.address, options: fileServer, key: "fileserver.address" },
    { kind: "status", address: status?.address, options: status, key: "status.address" },
  ];
  return wanted.filter((one): one is WantedServer => one.address !== undefined);
}
