import type { Role } from "../access/role.ts";
import type { Address, TcpAddress } from "../net/address.ts";

/**
 * The configuration as the rest of the program sees it: complete, in milliseconds and bytes, paths absolute, read-only.
 * The contract's message (roadrunner.config.v1.Configuration) is what users write; `resolve.ts` makes this out of it.
 */
export interface ServerConfiguration {
  /** Absolute path of the file; undefined without one. */
  readonly configFile: string | undefined;
  /** Where relative paths and workers start from. */
  readonly workingDirectory: string;
  readonly gracePeriodMs: number;
  /** Between failing readiness and the end of accepting. */
  readonly drainDelayMs: number;
  readonly control: ControlOptions;
  /** Address that PHP finds in RR_RPC; undefined without an `rpc` section. */
  readonly rpc: { readonly listen: Address } | undefined;
  readonly logs: LogOptions;
  readonly onInit: OnInitOptions | undefined;
  /** By name; the one of `http.pool` is called "http". */
  readonly pools: readonly PoolOptions[];
  readonly http: HttpOptions | undefined;
  readonly fileServer: FileServerOptions | undefined;
  readonly status: StatusOptions | undefined;
  /** For what comes with requests and is too large for the memory. */
  readonly spool: SpoolOptions;
  /** What may wait there of replies that callers take slowly. */
  readonly waitingReplies: WaitingReplyOptions;
  /** Undefined: files are not watched. */
  readonly reload: ReloadOptions | undefined;
}

export interface WaitingReplyOptions {
  /** Of one reply; 0: none waits there. */
  readonly replyBytesMax: number;
  /** Of one that the application sends bit by bit. */
  readonly streamBytesMax: number;
  readonly totalBytesMax: number;
}

export interface ReloadOptions {
  /** Quiet time before a reset, and the time between looks when polling. */
  readonly intervalMs: number;
  readonly polling: boolean;
  readonly rules: readonly ReloadRule[];
}

/** Which files reset which pools. */
export interface ReloadRule {
  /** Where the folders are named. */
  readonly key: string;
  readonly pools: readonly string[];
  /** Absolute. */
  readonly dirs: readonly string[];
  readonly recursive: boolean;
  /** Parts of file names. */
  readonly patterns: readonly string[];
  /** Names, or absolute paths. */
  readonly ignore: readonly string[];
}

export interface ControlOptions {
  /** Where the gRPC API listens besides the frontends' socket. Undefined: only on the socket that rrctl finds by itself. */
  readonly listen: Address | undefined;
  /** Of sockets in the file system, except that of the frontends. */
  readonly socket: { readonly mode: number; readonly group: string | undefined };
  /** Of a TCP address. Undefined: nothing is encrypted. */
  readonly tls: ControlTlsOptions | undefined;
  /** File of callers' tokens. Undefined: there are none. */
  readonly tokensFile: string | undefined;
  readonly maxMessageBytes: number;
  /** How many events are kept. */
  readonly eventsKept: number;
}

/** Paths are absolute. */
export interface ControlTlsOptions {
  readonly certFile: string;
  readonly keyFile: string;
  /** Undefined: callers are not asked for certificates. */
  readonly clientCaFile: string | undefined;
  /** By common name of callers' certificates; "*" for all others. */
  readonly roles: Readonly<Record<string, Role>>;
}

export interface LogOptions {
  readonly mode: "development" | "production" | "raw" | "none";
  readonly level: "debug" | "info" | "warn" | "error" | "fatal";
  readonly encoding: "console" | "json";
  /** "stdout", "stderr" or absolute paths. */
  readonly output: readonly string[];
  /** Level by channel ("http", "server", ...), where it differs. */
  readonly channelLevels: Readonly<Record<string, LogOptions["level"]>>;
}

export interface OnInitOptions {
  readonly command: readonly string[];
  readonly execTimeoutMs: number;
  readonly env: Readonly<Record<string, string>>;
  readonly user: string | undefined;
  readonly exitOnError: boolean;
}

export type RelayOptions = { readonly kind: "pipes" } | Address;

export interface PoolOptions {
  readonly name: string;
  readonly command: readonly string[];
  /** The command without the secrets in it. Absent: it has none. */
  readonly shownCommand?: readonly string[];
  /** What is added to the environment of the server, RR_* variables included. */
  readonly env: Readonly<Record<string, string>>;
  readonly workingDirectory: string;
  /** Names or numeric ids of the user and group that workers run as; undefined: those of the server. */
  readonly user: string | undefined;
  readonly group: string | undefined;
  /** Names of the server's variables that workers get; undefined: all. */
  readonly passedEnv: readonly string[] | undefined;
  readonly relay: RelayOptions;
  /** Frames of RoadRunner 2 and later, or the prefix of RoadRunner 1. */
  readonly protocol: "goridge3" | "goridge1";
  /** A fresh worker serves each call. */
  readonly debug: boolean;
  readonly numWorkers: number;
  /** Largest number that the pool may be scaled to. */
  readonly numWorkersMax: number;
  /** Calls after which a worker is replaced; 0: never. */
  readonly maxJobs: number;
  /** Calls that may wait; 0: any number. */
  readonly maxQueueLength: number;
  /** Longest wait for a worker. */
  readonly queueWaitMs: number;
  /** Longest time from the start of a process until it is ready. */
  readonly bootTimeoutMs: number;
  /** Longest wait for running calls when the pool ends. */
  readonly destroyTimeoutMs: number;
  /** Longest wait for running calls of the old generation after a reset. */
  readonly resetTimeoutMs: number;
  /** Longest wait for the running call of a worker that is to go for another reason. */
  readonly retireTimeoutMs: number;
  /** Longest wait for a worker to end a stream that nobody reads any more. */
  readonly streamTimeoutMs: number;
  /** Time between the steps of the stop ladder: stop message, SIGTERM, SIGKILL. */
  readonly stopGraceMs: number;
  /** Largest frame that a worker may announce. */
  readonly frameBytesMax: number;
  readonly supervisor: SupervisorOptions;
  readonly dynamicAllocator: DynamicAllocatorOptions | undefined;
}

export interface SupervisorOptions {
  readonly watchTickMs: number;
  /** 0: no limit, here and below. */
  readonly ttlMs: number;
  readonly idleTtlMs: number;
  readonly execTtlMs: number;
  readonly workerMemoryBytesMax: number;
}

export interface DynamicAllocatorOptions {
  /** Extra workers at most. */
  readonly maxWorkers: number;
  /** How many are started at a time. */
  readonly spawnRate: number;
  readonly idleTimeoutMs: number;
}

/** Browsers load pages again when pools were reset because of files. */
export interface BrowserReloadOptions {
  /** Of the stream of events; that of the script has ".js" besides. */
  readonly path: string;
}

export interface FastCgiOptions {
  readonly address: Address;
  /** Of a unix socket: bits of the file, and name or id of the group; undefined: that of the server. */
  readonly mode: number;
  readonly group: string | undefined;
}

export interface HttpOptions {
  /** Undefined: pages are sent as they are. */
  readonly browserReload?: BrowserReloadOptions | undefined;
  /** Undefined: only HTTPS or FastCGI. */
  readonly address: TcpAddress | undefined;
  readonly tls: TlsOptions | undefined;
  readonly http2: { readonly h2c: boolean; readonly maxConcurrentStreams: number };
  readonly fastCgi: FastCgiOptions | undefined;
  /** Pool that requests go to. */
  readonly pool: string;
  /** The first that fits a request says where it goes. */
  readonly routes: readonly RouteOptions[];
  /** Names or numeric ids of the user and group that frontends run as; undefined: those of the server. */
  readonly user: string | undefined;
  readonly group: string | undefined;
  /** Number of frontend processes. */
  readonly frontends: number;
  /** Status of responses when the application or the server failed. */
  readonly internalErrorCode: number;
  readonly maxRequestBytes: number;
  readonly maxHeaderBytes: number;
  readonly maxConnections: number;
  readonly headerTimeoutMs: number;
  readonly bodyIdleTimeoutMs: number;
  readonly keepAliveTimeoutMs: number;
  /** Of a request. */
  readonly headersMax: number;
  /** Head and body together; 0: no limit. */
  readonly requestTimeoutMs: number;
  readonly writeIdleTimeoutMs: number;
  /** Fields of a urlencoded form. */
  readonly formFieldsMax: number;
  /** Forms are handed on unparsed. */
  readonly rawBody: boolean;
  readonly uploads: UploadOptions;
  /** For forms that are too large for the memory. */
  readonly spool: SpoolOptions;
  readonly accessLogs: boolean;
  /** Encoding of the request context. "auto" was resolved by what Composer installed. */
  readonly contextCodec: "json" | "proto";
  /** Error pages show the reason. */
  readonly debug: boolean;
  /** Names of middleware and absolute paths of modules, first is outermost. */
  readonly middleware: readonly string[];
  /** What middleware does, if it is in the list. */
  readonly headers: HeadersOptions | undefined;
  readonly compression: CompressionOptions;
  readonly static: StaticOptions | undefined;
  readonly sendfile: SendfileOptions;
  /** Addresses and networks in CIDR notation. */
  readonly trustedSubnets: readonly string[];
  /** Names of headers. */
  readonly trustedHeaders: readonly string[];
}

/** A part of the requests and how they are served. Texts may have "*" for any text; undefined: any. */
export interface RouteOptions {
  readonly path: string | undefined;
  /** In lower case. */
  readonly host: string | undefined;
  /** In upper case; empty: any. */
  readonly methods: readonly string[];
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly pool: string;
  readonly contextCodec: "json" | "proto";
  readonly debug: boolean;
  readonly maxRequestBytes: number;
}

export interface StatusOptions {
  readonly address: { readonly kind: "tcp"; readonly host: string; readonly port: number };
  readonly unavailableStatus: number;
  readonly checkTimeoutMs: number;
}

export type ClientAuth = "none" | "request" | "require-any" | "verify-if-given" | "require-and-verify";

export interface TlsOptions {
  readonly address: TcpAddress;
  /** Plain requests are sent here. */
  readonly redirect: boolean;
  /** Absolute; those that ACME writes, where ACME is used. */
  readonly keyFile: string;
  readonly certFile: string;
  /** What clients' certificates are checked against; undefined: the authorities that Node knows. */
  readonly clientCaFile: string | undefined;
  readonly clientAuth: ClientAuth;
  readonly acme: AcmeOptions | undefined;
}

export interface AcmeOptions {
  readonly email: string;
  /** In lower case, each once. */
  readonly domains: readonly string[];
  /** Absolute. */
  readonly cacheDirectory: string;
  readonly challenge: "http-01" | "tls-alpn-01";
  /** Where challenges are answered besides the frontends' addresses; undefined: one of those has that port. */
  readonly challengeAddress: TcpAddress | undefined;
  /** Whether an address of the frontends answers challenges. */
  readonly answeredByFrontends: boolean;
  readonly directoryUrl: string;
  /** What the authority's own address is checked against; undefined: the authorities that Node knows. */
  readonly directoryCaFile: string | undefined;
}

export interface HeadersOptions {
  readonly request: Readonly<Record<string, string>>;
  readonly response: Readonly<Record<string, string>>;
  readonly cors: CorsOptions | undefined;
}

export interface CorsOptions {
  /** In lower case; "*" is all, one "*" inside any text. */
  readonly allowedOrigins: readonly string[];
  /** Counts instead, if there is one. */
  readonly allowedOriginPattern: { readonly source: string; readonly flags: string } | undefined;
  /** "*": all. */
  readonly allowedHeaders: readonly string[];
  /** In upper case. */
  readonly allowedMethods: readonly string[];
  readonly allowCredentials: boolean;
  readonly exposedHeaders: readonly string[];
  /** 0: nothing is said. */
  readonly maxAgeSeconds: number;
  readonly preflightStatus: number;
  readonly debug: boolean;
}

export interface CompressionOptions {
  readonly minBytes: number;
  /** The best first. */
  readonly encodings: readonly ("zstd" | "br" | "gzip")[];
}

/** A folder whose files are served. */
export interface FolderOptions {
  /** Absolute. */
  readonly root: string;
  readonly etag: "none" | "strong" | "weak";
  /** Names of files that stand for the folder they are in. */
  readonly index: readonly string[];
  /** Siblings with .br, .zst or .gz behind the name are sent to who takes them. */
  readonly precompressed: boolean;
  readonly ranges: boolean;
  /** Symbolic links that lead out of the folder: those of the folder's owner, see `followOwnLinks`, none, or all. */
  readonly followLinks: "owner" | "never" | "always";
  /** How long a file need not be looked at again. */
  readonly freshMs: number;
  /** Of responses with files. */
  readonly headers: Readonly<Record<string, string>>;
}

export interface StaticOptions extends FolderOptions {
  /** Extensions in lower case, with the dot. */
  readonly forbid: readonly string[];
  /** Empty: all. */
  readonly allow: readonly string[];
  /** Files without extension are served. */
  readonly extensionless: boolean;
  /** Extensions of files that are 404 if they are not there, without a question to the application. */
  readonly notFound: readonly string[];
}

export interface SendfileOptions {
  /** Where relative paths start. Absolute. */
  readonly root: string;
  /** Only what is in `root` is sent. */
  readonly rootOnly: boolean;
}

export interface FileServerOptions {
  readonly address: { readonly kind: "tcp"; readonly host: string; readonly port: number };
  readonly folders: readonly FileServerFolder[];
}

export interface FileServerFolder extends FolderOptions {
  /** First part of the path, with "/" at the start and none at the end; "" for all paths. */
  readonly prefix: string;
  readonly compress: boolean;
}

/** What comes with requests and is too large for the memory. */
export interface SpoolOptions {
  /** Absolute; undefined: the system's folder for temporary files. */
  readonly directory: string | undefined;
  /** Of all files at a time; 0: as many as the disk takes. */
  readonly bytesMax: number;
}

/** What multipart forms may hold. */
export interface UploadOptions {
  /** Lower case, with their dot. Files that have one are refused. */
  readonly forbid: readonly string[];
  /** The same; if there are any, files with others are refused. */
  readonly allow: readonly string[];
  /** 0: as large as a request may be. */
  readonly fileBytesMax: number;
  /** What becomes of a file that is larger: the form is refused, or the application gets error 1 in place of the file. */
  readonly oversizedFiles: "refuse" | "error";
  readonly filesMax: number;
  readonly fieldsMax: number;
  readonly fieldBytesMax: number;
}
