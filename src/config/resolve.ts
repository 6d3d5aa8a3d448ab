import { resolve } from "node:path";
import type { Configuration, Http, Logs, Status, Uploads } from "../../gen/roadrunner/config/v1/configuration_pb.ts";
import { type Address, collide, plainAddress } from "../net/address.ts";
import { installedContextCodec } from "./composer.ts";
import type {
  HttpOptions,
  LogOptions,
  OnInitOptions,
  PoolOptions,
  ServerConfiguration,
  SpoolOptions,
  StatusOptions,
  UploadOptions,
  WaitingReplyOptions,
} from "./options.ts";
import { environmentNames, milliseconds, type ResolutionContext } from "./resolution.ts";
import { resolveControl, resolveRpc } from "./resolve-control.ts";
import { resolveFileServer, resolveMiddleware } from "./resolve-middleware.ts";
import { resolvePools } from "./resolve-pool.ts";
import { httpAddressOf, resolveProtocols } from "./resolve-protocols.ts";
import { resolveBrowserReload, resolveReload } from "./resolve-reload.ts";
import { resolveRoutes } from "./resolve-routes.ts";

/**
 * The message with all defaults to what the program works with. What no rule of a single key can say is checked here,
 * and reported; the result is of use only if nothing was.
 */
export function resolveConfiguration(message: Configuration, context: ResolutionContext): ServerConfiguration {
  const rpc = message.rpc && resolveRpc(message.rpc, context);
  const pools = resolvePools(message, rpc?.listen, context);
  const configuration: ServerConfiguration = {
    configFile: context.configFile,
    workingDirectory: context.workingDirectory,
    gracePeriodMs: milliseconds(message.endure!.gracePeriod),
    drainDelayMs: milliseconds(message.endure!.drainDelay),
    control: resolveControl(message.control!, context),
    rpc,
    logs: resolveLogs(message.logs!, context),
    onInit: resolveOnInit(message),
    pools,
    http:
      message.http && hasListener(message.http)
        ? { ...resolveHttp(message.http, pools, context), browserReload: resolveBrowserReload(message.reload) }
        : undefined,
    reload: message.reload && resolveReload(message.reload, pools, context),
    fileServer: message.fileserver && resolveFileServer(message.fileserver, context),
    status: message.status && resolveStatus(message.status, context),
    spool: resolveSpool(message.http, context),
    waitingReplies: waitingReplies(message.http),
  };
  checkPresence(message, context);
  checkConflicts(configuration, context);
  return configuration;
}

function hasListener({ address, ssl, fcgi }: Http): boolean {
  return Boolean(address || ssl || fcgi);
}

function resolveHttp(http: Http, pools: readonly PoolOptions[], context: ResolutionContext): HttpOptions {
  const pool = pools.find(({ name }) => name === "http")!;
  const codec = http.contextCodec;
  const codecOf = ({ command }: PoolOptions) =>
    codec === "json" || codec === "proto"
      ? codec
      : installedContextCodec(context.workingDirectory, command, context.readFile);
  return {
    address: http.address ? httpAddressOf(http.address, "http.address", context) : undefined,
    ...resolveProtocols(http, context),
    pool: pool.name,
    routes: resolveRoutes(http, pools, codecOf, context),
    user: http.user || undefined,
    group: http.group || undefined,
    frontends: http.frontends!,
    internalErrorCode: http.internalErrorCode!,
    maxRequestBytes: Number(http.maxRequestSize),
    maxHeaderBytes: Number(http.maxHeaderSize),
    maxConnections: http.maxConnections!,
    headerTimeoutMs: milliseconds(http.headerTimeout),
    bodyIdleTimeoutMs: milliseconds(http.bodyIdleTimeout),
    keepAliveTimeoutMs: milliseconds(http.keepAliveTimeout),
    headersMax: http.maxHeaders!,
    requestTimeoutMs: milliseconds(http.requestTimeout),
    writeIdleTimeoutMs: milliseconds(http.writeIdleTimeout),
    formFieldsMax: http.maxFormFields!,
    rawBody: http.rawBody!,
    uploads: resolveUploads(http.uploads!),
    spool: resolveSpool(http, context),
    accessLogs: http.accessLogs!,
    contextCodec: codecOf(pool),
    debug: pool.debug,
    ...resolveMiddleware(http, context),
  };
}

function resolveStatus(status: Status, context: ResolutionContext): StatusOptions {
  return {
    // That it is missing has been said.
    address: httpAddressOf(status.address ?? "127.0.0.1:0", "status.address", context),
    unavailableStatus: status.unavailableStatusCode!,
    checkTimeoutMs: milliseconds(status.checkTimeout),
  };
}

function resolveSpool(http: Http | undefined, { workingDirectory }: ResolutionContext): SpoolOptions {
  const { dir, maxSpoolSize } = http?.uploads ?? {};
  return { directory: dir ? resolve(workingDirectory, dir) : undefined, bytesMax: Number(maxSpoolSize ?? 0) };
}

/** As the contract says, where there is no section. */
const WAITING_REPLIES: WaitingReplyOptions = {
  replyBytesMax: 256 * 1024 * 1024,
  streamBytesMax: 16 * 1024 * 1024,
  totalBytesMax: 1024 * 1024 * 1024,
};

function waitingReplies(http: Http | undefined): WaitingReplyOptions {
  const responses = http?.responses;
  if (!responses) return WAITING_REPLIES;
  return {
    replyBytesMax: Number(responses.maxWaitingSize),
    streamBytesMax: Number(responses.maxWaitingStreamSize),
    totalBytesMax: Number(responses.maxWaitingTotalSize),
  };
}

function resolveUploads(uploads: Uploads): UploadOptions {
  return {
    forbid: extensions(uploads.forbid),
    allow: extensions(uploads.allow),
    fileBytesMax: Number(uploads.maxFileSize),
    oversizedFiles: uploads.oversizedFiles === "error" ? "error" : "refuse",
    filesMax: uploads.maxFiles!,
    fieldsMax: uploads.maxFields!,
    fieldBytesMax: Number(uploads.maxFieldSize),
  };
}

/** ".PHP" and "php" to ".php"; an empty text is how a list says that it has none. */
function extensions(written: readonly string[]): string[] {
  const names = written.map((text) => text.trim().toLowerCase()).filter((text) => text !== "");
  return names.map((name) => (name.startsWith(".") ? name : `.${name}`));
}

function resolveOnInit({ server }: Configuration): OnInitOptions | undefined {
  const onInit = server?.onInit;
  if (!onInit) return undefined;
  return {
    command: onInit.command,
    execTimeoutMs: milliseconds(onInit.execTimeout),
    env: environmentNames(onInit.env),
    user: onInit.user || undefined,
    exitOnError: onInit.exitOnError!,
  };
}

const LEVELS: Readonly<Record<string, LogOptions["level"]>> = {
  debug: "debug",
  info: "info",
  warn: "warn",
  error: "error",
  dpanic: "fatal",
  panic: "fatal",
  fatal: "fatal",
};

function resolveLogs(logs: Logs, { workingDirectory }: ResolutionContext): LogOptions {
  const mode = logs.mode === "off" ? "none" : (logs.mode as LogOptions["mode"]);
  const file = logs.fileLoggerOptions?.logOutput;
  const output = file ? [file] : logs.output;
  return {
    mode,
    level: LEVELS[logs.level!]!,
    encoding: (logs.encoding as LogOptions["encoding"] | undefined) ?? (mode === "production" ? "json" : "console"),
    output: output.map((one) => (one === "stdout" || one === "stderr" ? one : resolve(workingDirectory, one))),
    channelLevels: Object.fromEntries(
      Object.entries(logs.channels).flatMap(([name, { level }]) => (level ? [[name, LEVELS[level]!]] : [])),
    ),
  };
}

/** What may be left out, but hardly on purpose. */
function checkPresence({ http, fileserver, status, pools }: Configuration, { report }: ResolutionContext): void {
  if (http && !hasListener(http))
    report("http", "http.address is missing: the pool is there, but nothing listens for HTTP", "warning");
  if (!http && !fileserver && !status && Object.keys(pools).length === 0)
    report("", "there is no pool: add `http` or `pools`", "warning");
}

/** Two listeners cannot have the same address. */
function checkConflicts(
  { control, rpc, http, fileServer, status, pools }: ServerConfiguration,
  { report }: ResolutionContext,
): void {
  const takers: { readonly address: Address; readonly path: string }[] = [];
  const take = (address: Address, path: string) => {
    const other = takers.find((taker) => collide(taker.address, address));
    if (other) report(path, `${other.path} has the address ${plainAddress(other.address)} already: choose another`);
    takers.push({ address, path });
  };
  if (control.listen) take(control.listen, "control.listen");
  if (rpc) take(rpc.listen, "rpc.listen");
  if (http?.address) take(http.address, "http.address");
  if (http?.tls) take(http.tls.address, "http.ssl.address");
  if (http?.fastCgi) take(http.fastCgi.address, "http.fcgi.address");
  if (fileServer) take(fileServer.address, "fileserver.address");
  if (status) take(status.address, "status.address");
  const relay = pools[0]?.relay;
  if (relay && relay.kind !== "pipes") take(relay, "server.relay");
}
