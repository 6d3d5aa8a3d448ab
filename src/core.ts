import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { CertificateKeeper } from "./acme/certificate-keeper.ts";
import { type ApiServer, createApiServer } from "./api/server.ts";
import type { ServerControl, ServerStateName } from "./api/server-service.ts";
import { systemClock } from "./clock.ts";
import type { LoadedConfiguration } from "./config/load.ts";
import type { Address } from "./config/options.ts";
import { plainConfiguration } from "./config/write.ts";
import { Dispatcher } from "./dispatch/dispatcher.ts";
import { EventLog } from "./events/event-log.ts";
import { FrontendSupervisor, type ServerKind } from "./frontends/frontend-supervisor.ts";
import { type ListeningSocket, openListeningSocket, openListeningUnixSocket } from "./frontends/listening-socket.ts";
import type { Log } from "./log.ts";
import { Pool } from "./pool/pool.ts";
import { runInitHook } from "./process/init-hook.ts";
import { Reloader } from "./reload/reloader.ts";
import { rpcMethods } from "./rpc/methods.ts";
import { RpcServer } from "./rpc/rpc-server.ts";
import { Spool } from "./spool/spool.ts";
import { VERSION } from "./version.ts";

export interface CoreOptions {
  readonly loaded: LoadedConfiguration;
  /** The environment that workers get, before what the configuration adds. */
  readonly baseEnv: Readonly<Record<string, string | undefined>>;
  readonly log: Log;
  /** Arguments of Node that start a frontend. */
  readonly frontendArguments: readonly string[];
  /** An operator asked by `ServerService.Shutdown`. */
  readonly onShutdown: (timeoutMs: number | undefined) => void;
}

/** Added to the time that a stop may take, for what comes after the last call. */
const CLOSE_MARGIN_MS = 2_000;

const SCHEMES: Readonly<Record<ServerKind, string>> = {
  http: "http",
  https: "https",
  fastcgi: "fastcgi",
  fileserver: "http",
  status: "http",
};

/** Everything of one server, put together by hand in the order in which it depends on each other. */
export class Core {
  readonly #options: CoreOptions;
  readonly #events: EventLog;
  readonly #pools: readonly Pool[];
  readonly #dispatcher: Dispatcher;
  readonly #control: MutableControl;
  readonly #runtimeDirectory: string;
  readonly #spool: Spool;
  #api: ApiServer | undefined;
  #rpc: RpcServer | undefined;
  #frontends: FrontendSupervisor | undefined;
  #reloader: Reloader | undefined;
  #certificates: CertificateKeeper | undefined;
  /** Where `fileserver` and `status` are served. */
  readonly fileAddresses: string[] = [];
  readonly statusAddresses: string[] = [];
  readonly #sockets: { kind: ServerKind; options: unknown; socket: ListeningSocket }[] = [];

  constructor(options: CoreOptions) {
    this.#options = options;
    const { configuration } = options.loaded;
    this.#events = new EventLog(configuration.control.eventsKept);
    this.#pools = configuration.pools.map(
      (pool) =>
        new Pool(pool, { clock: systemClock, log: options.log, events: this.#events, baseEnv: options.baseEnv }),
    );
    this.#dispatcher = new Dispatcher(this.#pools);
    // Only this user may enter: the socket in it is the frontends' way to the core.
    this.#runtimeDirectory = mkdtempSync(join(tmpdir(), "rr-"));
    this.#spool = new Spool(configuration.spoolDirectory ?? tmpdir(), options.log.child({ channel: "server" }));
    this.#control = new MutableControl(
      configuration,
      options,
      this.#dispatcher,
      () => this.#frontends?.frontends ?? [],
    );
  }

  get control(): ServerControl {
    return this.#control;
  }

  /** Opens the addresses, boots the pools, starts the frontends. Rejects with the first reason and has ended all then. */
  async start(): Promise<void> {
    const { loaded, baseEnv, log } = this.#options;
    const { configuration } = loaded;
    try {
      if (configuration.onInit) await runInitHook(configuration.onInit, configuration.workingDirectory, baseEnv, log);
      // Addresses first: a port in use shows before minutes of booting.
      await this.#openSockets();
      await this.#spool.clean();
      await this.#prepareCertificates();
      const privateAddress = await this.#openApi();
      await this.#openRpc();
      await this.#startPools();
      await this.#startFrontends(privateAddress);
    } catch (thrown) {
      await this.stop(0);
      throw thrown;
    }
    // Not before the frontends are there: they answer what the authority asks.
    this.#certificates?.start();
    const { reload, workingDirectory } = configuration;
    if (reload) {
      this.#reloader = new Reloader(reload, workingDirectory, {
        pool: (name) => this.#dispatcher.pool(name),
        events: this.#events,
        log: log.child({ channel: "reload" }),
      });
      await this.#reloader.start();
    }
    this.#control.state = "serving";
    const { httpAddresses, controlAddresses } = this.#control;
    const message = `serving: ${[...httpAddresses, ...this.fileAddresses, ...this.statusAddresses, ...controlAddresses].join(", ")}`;
    this.#events.record("server.started", { message });
  }

  /** Takes nothing new, lets running calls finish for so long, ends all processes. */
  async stop(timeoutMs: number): Promise<void> {
    const wasServing = this.#control.state === "serving";
    this.#control.state = "stopping";
    await Promise.all([this.#reloader?.close(), this.#certificates?.close()]);
    this.#events.record("server.draining", { message: "the server stops" });
    // Checks fail from now on. Load balancers get time to see that before connections are refused.
    const { drainDelayMs } = this.#options.loaded.configuration;
    if (wasServing && drainDelayMs > 0 && timeoutMs > 0) await sleep(Math.min(drainDelayMs, timeoutMs));
    // First: as long as anyone holds the socket the kernel takes connections, and nobody would answer them.
    for (const { socket } of this.#sockets) socket.close();
    await this.#frontends?.stop(timeoutMs);
    await Promise.all(this.#pools.map((pool) => pool.stop(timeoutMs)));
    this.#events.record("server.stopped", { message: "all workers have ended" });
    this.#rpc?.close();
    await this.#api?.close(Math.min(timeoutMs, CLOSE_MARGIN_MS));
    await this.#spool.close();
    rmSync(this.#runtimeDirectory, { recursive: true, force: true });
  }

  async #openSockets(): Promise<void> {
    const { http, fileServer, status } = this.#options.loaded.configuration;
    const open = async (kind: ServerKind, address: Address, options: unknown, key: string): Promise<void> => {
      const isPath = address.kind === "unix";
      const socket = isPath
        ? await openListeningUnixSocket(address.path, key)
        : await openListeningSocket(address.host, address.port, key);
      this.#sockets.push({ kind, options, socket });
    };
    if (http?.address) await open("http", http.address, http, "http.address");
    if (http?.tls) await open("https", http.tls.address, http, "http.ssl.address");
    if (http?.fastCgi) await open("fastcgi", http.fastCgi.address, http, "http.fcgi.address");
    if (fileServer) await open("fileserver", fileServer.address, fileServer, "fileserver.address");
    if (status) await open("status", status.address, status, "status.address");
  }

  async #prepareCertificates(): Promise<void> {
    const acme = this.#options.loaded.configuration.http?.tls?.acme;
    if (!acme) return;
    const log = this.#options.log.child({ channel: "acme" });
    this.#certificates = new CertificateKeeper(acme, { events: this.#events, log });
    await this.#certificates.prepare();
  }

  async #openApi(): Promise<string> {
    const { loaded, log } = this.#options;
    const { control, http } = loaded.configuration;
    this.#api = createApiServer({
      dispatcher: this.#dispatcher,
      events: this.#events,
      control: this.#control,
      loaded,
      frontendMemoryBytes: () => this.#frontends?.memoryBytes() ?? 0,
      messageBytesMax: control.maxMessageBytes,
      payloadBytesMax: Math.max(
        control.maxMessageBytes,
        http?.maxRequestBytes ?? 0,
        ...(http?.routes ?? []).map(({ maxRequestBytes }) => maxRequestBytes),
      ),
      spool: this.#spool,
      log: log.child({ channel: "control" }),
    });
    this.#control.controlAddresses.push(await this.#api.listen(control.listen));
    // Windows has no such sockets in the file system; frontends use the public address there.
    if (process.platform === "win32") return this.#control.controlAddresses[0]!;
    return this.#api.listen({ kind: "unix", path: join(this.#runtimeDirectory, "core.sock") });
  }

  async #openRpc(): Promise<void> {
    const { loaded, log } = this.#options;
    const { rpc } = loaded.configuration;
    if (!rpc) return;
    const methods = rpcMethods(this.#dispatcher, () => JSON.stringify(plainConfiguration(loaded.message)));
    this.#rpc = await RpcServer.open(rpc.listen, methods, log.child({ channel: "rpc" }));
  }

  async #startPools(): Promise<void> {
    const { log } = this.#options;
    const progress = setInterval(() => {
      for (const pool of this.#pools)
        if (pool.state === "booting")
          log.info({ pool: pool.name, booting: pool.workersBooting }, `pool "${pool.name}" is still booting`);
    }, 5_000);
    try {
      await Promise.all(this.#pools.map((pool) => pool.start()));
    } finally {
      clearInterval(progress);
    }
  }

  async #startFrontends(privateAddress: string): Promise<void> {
    const { loaded, baseEnv, log, frontendArguments } = this.#options;
    const { http, logs } = loaded.configuration;
    if (this.#sockets.length === 0) return;
    this.#frontends = new FrontendSupervisor({
      count: http?.frontends ?? 1,
      nodeArguments: frontendArguments,
      servers: this.#sockets,
      assignment: { core: privateAddress, logs },
      baseEnv,
      log,
      events: this.#events,
    });
    await this.#frontends.start();
    for (const { kind, socket } of this.#sockets) {
      const { host, port } = socket;
      const place = host.includes("/") ? host : `${host.includes(":") ? `[${host}]` : host}:${port}`;
      const url = `${SCHEMES[kind]}://${place}`;
      const addresses: Partial<Record<ServerKind, string[]>> = {
        fileserver: this.fileAddresses,
        status: this.statusAddresses,
      };
      (addresses[kind] ?? this.#control.httpAddresses).push(url);
    }
  }
}

class MutableControl implements ServerControl {
  readonly version = VERSION;
  readonly startedAtMs = Date.now();
  readonly configFile: string;
  readonly workingDirectory: string;
  readonly controlAddresses: string[] = [];
  readonly httpAddresses: string[] = [];
  state: ServerStateName = "starting";
  readonly #gracePeriodMs: number;
  readonly #options: CoreOptions;
  readonly #dispatcher: Dispatcher;
  readonly #listFrontends: () => ServerControl["frontends"];

  constructor(
    configuration: LoadedConfiguration["configuration"],
    options: CoreOptions,
    dispatcher: Dispatcher,
    listFrontends: () => ServerControl["frontends"],
  ) {
    this.configFile = configuration.configFile ?? "";
    this.workingDirectory = configuration.workingDirectory;
    this.#gracePeriodMs = configuration.gracePeriodMs;
    this.#options = options;
    this.#dispatcher = dispatcher;
    this.#listFrontends = listFrontends;
  }

  get frontends(): ServerControl["frontends"] {
    return this.#listFrontends();
  }

  async drain(timeoutMs: number | undefined): Promise<void> {
    if (this.state === "serving") this.state = "draining";
    this.#dispatcher.drain();
    await this.#dispatcher.whenIdle(timeoutMs ?? this.#gracePeriodMs);
  }

  shutdown(timeoutMs: number | undefined): void {
    this.#options.onShutdown(timeoutMs);
  }
}
