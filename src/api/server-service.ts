import { durationMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { CallContext } from "nice-grpc-common";
import {
  type DrainRequest,
  FrontendState,
  type GetHealthRequest,
  type GetServerInfoRequest,
  ProcessRole,
  type ServerService,
  ServerState,
  type ShutdownRequest,
  type UndrainRequest,
} from "../../gen/roadrunner/server/v1/server_service_pb.ts";
import type { Dispatcher } from "../dispatch/dispatcher.ts";
import type { EventLog, EventType } from "../events/event-log.ts";
import type { Implementation } from "../grpc/service-definition.ts";
import type { ServerHealth } from "../health/server-health.ts";
import type { ServerStateName } from "../health/server-state.ts";
import { readMemoryBytes } from "../process/resources.ts";
import { callerOf } from "./caller.ts";

const SERVER_STATE: Record<ServerStateName, ServerState> = {
  starting: ServerState.STARTING,
  serving: ServerState.SERVING,
  draining: ServerState.DRAINING,
  stopping: ServerState.STOPPING,
};

/** A place for a frontend. */
export interface FrontendInfo {
  readonly state: "waiting" | "starting" | "listening" | "closing" | "closed";
  /** Undefined: there is no process now. */
  readonly pid: number | undefined;
  readonly startedAtMs: number;
  readonly restarts: number;
  /** "" if all is well. */
  readonly problem: string;
  /** It answers checks, and nothing else. */
  readonly servesStatus: boolean;
}

const FRONTEND_STATE: Record<FrontendInfo["state"], FrontendState> = {
  waiting: FrontendState.WAITING,
  starting: FrontendState.STARTING,
  listening: FrontendState.LISTENING,
  closing: FrontendState.CLOSING,
  closed: FrontendState.CLOSED,
};

function toHealth({ state, ...health }: ServerHealth) {
  return { ...health, state: SERVER_STATE[state] };
}

/** What the service needs to know and may do; the composition root provides it. */
export interface ServerControl {
  readonly version: string;
  readonly state: ServerStateName;
  readonly startedAtMs: number;
  readonly configFile: string;
  readonly workingDirectory: string;
  readonly controlAddresses: readonly string[];
  readonly httpAddresses: readonly string[];
  readonly frontends: readonly FrontendInfo[];
  /** What works, but should be changed, in words. */
  readonly warnings: readonly string[];
  readonly health: ServerHealth;
  /** Takes nothing new; settles when nothing runs or the time is up. Undefined: the configured grace period. */
  drain(timeoutMs: number | undefined): Promise<void>;
  /** Takes calls again. Throws DRAINING if the server ends. */
  undrain(): void;
  /** Begins to end the server; does not wait. */
  shutdown(timeoutMs: number | undefined): void;
}

export function serverService(control: ServerControl, dispatcher: Dispatcher, events: EventLog) {
  const record = (type: EventType, message: string, context: CallContext) =>
    events.record(type, { message, actor: callerOf(context).actor });
  return {
    async getServerInfo(_request: GetServerInfoRequest) {
      const core = { pid: process.pid, role: ProcessRole.CORE, startedAtMs: control.startedAtMs, restarts: 0 };
      const frontends = control.frontends.flatMap(({ pid, startedAtMs, restarts, servesStatus }) => {
        const role = servesStatus ? ProcessRole.STATUS : ProcessRole.HTTP_FRONTEND;
        return pid === undefined ? [] : [{ pid, startedAtMs, restarts, role }];
      });
      return {
        version: control.version,
        state: SERVER_STATE[control.state],
        startTime: timestampFromMs(control.startedAtMs),
        configFile: control.configFile,
        workingDirectory: control.workingDirectory,
        controlAddresses: [...control.controlAddresses],
        httpAddresses: [...control.httpAddresses],
        processes: [core, ...frontends].map(({ pid, role, startedAtMs, restarts }) => ({
          pid,
          role,
          restarts,
          startTime: timestampFromMs(startedAtMs),
          memoryBytes: BigInt(pid === process.pid ? process.memoryUsage.rss() : readMemoryBytes(pid)),
        })),
        pools: dispatcher.pools.map((pool) => pool.name),
        nodeVersion: process.version,
        frontends: control.frontends.map(({ state, pid = 0, restarts, problem }) => ({
          state: FRONTEND_STATE[state],
          pid,
          restarts,
          problem,
        })),
        warnings: [...control.warnings],
        health: toHealth(control.health),
      };
    },
    async getHealth(_request: GetHealthRequest) {
      return { health: toHealth(control.health) };
    },
    async undrain(_request: UndrainRequest, context: CallContext) {
      control.undrain();
      record("server.undrained", "the server takes calls again", context);
      return { state: SERVER_STATE[control.state] };
    },
    async drain({ timeout }: DrainRequest, context: CallContext) {
      record("server.drained", "the server is drained: it takes no new calls", context);
      await control.drain(timeout && durationMs(timeout));
      return { callsRunning: dispatcher.callsOpen };
    },
    async shutdown({ timeout }: ShutdownRequest, context: CallContext) {
      record("server.stop_asked", "the server was asked to end", context);
      control.shutdown(timeout && durationMs(timeout));
      return { pid: process.pid };
    },
  } satisfies Implementation<typeof ServerService>;
}
