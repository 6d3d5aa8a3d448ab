import type { Address } from "../net/address.ts";

/** What the core and a frontend tell each other over the message channel of the process. */

/** To the frontend, first of all: what it is to do. */
export interface FrontendAssignment {
  readonly type: "assignment";
  /** Addresses of the cores: of one its private socket, or of any number elsewhere. */
  readonly cores: readonly string[];
  /** CoreCredentials as a JSON value: what the frontend shows to cores elsewhere. */
  readonly credentials?: unknown;
  /** LogOptions as a JSON value. */
  readonly logs: unknown;
  /** What to serve. */
  readonly servers: readonly ServerAssignment[];
}

export type ServerKind = "http" | "https" | "fastcgi" | "fileserver" | "status";

export interface ServerAssignment {
  readonly kind: ServerKind;
  /** HttpOptions or FileServerOptions as a JSON value. */
  readonly options: unknown;
  /** Descriptor of the listening socket; undefined: the frontend opens the address itself. */
  readonly listenFd: number | undefined;
  readonly address: Address;
}

export type MessageToFrontend =
  | FrontendAssignment
  /** Fail checks of readiness from now on. */
  | { readonly type: "drain" }
  /** Open the files of the log anew. */
  | { readonly type: "reopen_logs" }
  /** Stop taking connections, finish what runs within the time, exit. */
  | { readonly type: "close"; readonly timeoutMs: number }
  /** Is it still working? */
  | { readonly type: "ping" };

export type MessageFromFrontend =
  /** It takes connections. */
  | { readonly type: "listening" }
  | { readonly type: "pong" }
  /** It cannot reach any core; undefined: it can again. */
  | { readonly type: "core"; readonly problem: string | undefined };
