import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import type { DescMessage, DescService } from "@bufbuild/protobuf";
import type { GenService, GenServiceMethods } from "@bufbuild/protobuf/codegenv2";
import { createServer } from "nice-grpc";
import { Health } from "../../gen/grpc/health/v1/health_pb.ts";
import { ServerReflection } from "../../gen/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection as ServerReflectionAlpha } from "../../gen/grpc/reflection/v1alpha/reflection_pb.ts";
import { ConfigService } from "../../gen/roadrunner/config/v1/config_service_pb.ts";
import { DispatchService } from "../../gen/roadrunner/dispatch/v1/dispatch_service_pb.ts";
import { EventService } from "../../gen/roadrunner/event/v1/event_service_pb.ts";
import { PoolService } from "../../gen/roadrunner/pool/v1/pool_service_pb.ts";
import { WorkerService } from "../../gen/roadrunner/pool/v1/worker_service_pb.ts";
import { ServerService } from "../../gen/roadrunner/server/v1/server_service_pb.ts";
import { StatsService } from "../../gen/roadrunner/stats/v1/stats_service_pb.ts";
import type { Deadline } from "../async/deadline.ts";
import type { LoadedConfiguration } from "../config/load.ts";
import type { Dispatcher } from "../dispatch/dispatcher.ts";
import type { EventLog } from "../events/event-log.ts";
import "../grpc/quiet.ts";
import { serviceDefinition } from "../grpc/service-definition.ts";
import type { Log } from "../log.ts";
import { type Address, hostPort } from "../net/address.ts";
import { listenAtHost } from "../net/hosts.ts";
import { KeptSocket } from "../net/kept-socket.ts";
import { listenProblem } from "../net/listen-problem.ts";
import type { Spool } from "../spool/spool.ts";
import { CallGate } from "./call-gate.ts";
import { configService } from "./config-service.ts";
import { dispatchService, type OpenStreams } from "./dispatch-service.ts";
import type { Entrance } from "./entrance.ts";
import { eventService } from "./event-service.ts";
import { Gatekeeper } from "./gatekeeper.ts";
import { healthService } from "./health.ts";
import { type Admission, apiInterceptor, createValidator } from "./interceptor.ts";
import { methodAccess } from "./method-access.ts";
import { poolService } from "./pool-service.ts";
import { reflectionService } from "./reflection.ts";
import { type ServerControl, serverService } from "./server-service.ts";
import type { SpillRules } from "./spilled-reply.ts";
import { statsService } from "./stats-service.ts";
import { workerService } from "./worker-service.ts";

export interface ApiDependencies {
  readonly dispatcher: Dispatcher;
  readonly events: EventLog;
  readonly control: ServerControl;
  readonly loaded: LoadedConfiguration;
  readonly frontendMemoryBytes: () => number;
  readonly messageBytesMax: number;
  readonly payloadBytesMax: number;
  readonly spool: Spool;
  readonly spillRules: SpillRules;
  readonly log: Log;
}

export interface ApiServer {
  /** Refuses new calls but for those of own frontends, and waits until then for all that have begun. */
  drain(deadline: Deadline): Promise<void>;
  /** Opens one more address for those whom its entrance lets in. Returns it with the port that was chosen. */
  listen(address: Address, entrance: Entrance): Promise<string>;
  /** Makes sure that the sockets in the file system are there. */
  restoreSockets(): Promise<void>;
  /** Ends watches, lets other calls finish, and ends those too when the time is up. */
  close(deadline: Deadline): Promise<void>;
}

type GrpcServer = ReturnType<typeof createServer>;

/** All services on any number of addresses: the private socket of the frontends and the public ones. */
export function createApiServer(dependencies: ApiDependencies): ApiServer {
  const { dispatcher, events, control, loaded, messageBytesMax, payloadBytesMax, spillRules, log } = dependencies;
  const stopping = new AbortController();
  const streams: OpenStreams = { dispatchStreams: 0 };
  const intake = { payloadBytesMax, spool: dependencies.spool, heldBytes: 0 };
  const dispatchParts = {
    dispatcher,
    messageBytesMax,
    intake,
    streams,
    stopping: stopping.signal,
    redact: loaded.redact,
    log,
    spillRules,
  };
  const gates = { public: new CallGate(), own: new CallGate() };
  const dispatch = {
    public: dispatchService(dispatchParts, gates.public),
    own: dispatchService(dispatchParts, gates.own),
  };
  const implementations: readonly (readonly [GenService<GenServiceMethods>, unknown])[] = [
    [DispatchService, dispatch.public],
    [PoolService, poolService(dispatcher, stopping.signal)],
    [WorkerService, workerService(dispatcher)],
    [ServerService, serverService(control, dispatcher, events)],
    [
      StatsService,
      statsService(dispatcher, streams, dependencies.frontendMemoryBytes, dependencies.spool, stopping.signal),
    ],
    [EventService, eventService(events, stopping.signal)],
    [ConfigService, configService(loaded, events)],
    [Health, healthService(() => control.health, stopping.signal)],
  ] as never;
  const described = implementations.map(([service]) => service as unknown as DescService);
  const reflections = [ServerReflection, ServerReflectionAlpha] as unknown as readonly DescService[];
  const reflection = reflectionService([...described, reflections[0]!]);
  const gatekeeper = new Gatekeeper(methodAccess([...described, ...reflections]), events, log);
  const validate = createValidator(requestMessages(described));
  const servers: GrpcServer[] = [];
  const kept: KeptSocket[] = [];
  /** Every address has a server of its own. Settles with the port. */
  const bind = async (target: string, entrance: Entrance): Promise<number> => {
    const { door, credentials, interceptors = [] } = entrance;
    // Own frontends accept nothing new when the server ends, but may have accepted what has not come completely.
    const gate = door.kind === "frontends" ? "own" : "public";
    const admit: Admission = (path, context) => gatekeeper.admit(door, path, context);
    const options = { ...channelOptions(messageBytesMax), interceptors: interceptors as never };
    const server = createServer(options).use(apiInterceptor(admit, validate, loaded.redact, log));
    for (const [service, implementation] of implementations) {
      const behindGate = implementation === dispatch.public ? dispatch[gate] : implementation;
      server.add(serviceDefinition(service) as never, behindGate as never);
    }
    for (const service of reflections) server.add(serviceDefinition(service as never) as never, reflection as never);
    const port = await server.listen(target, credentials);
    servers.push(server);
    return port;
  };

  return {
    async listen(address, entrance) {
      const enter = (target: string) => bind(target, entrance);
      try {
        if (address.kind === "tcp") return await listenAtTcp(address, enter);
        kept.push(await listenAtPath(address.path, entrance, enter, dependencies));
        return `unix://${address.path}`;
      } catch (thrown) {
        throw listenProblem({ what: "gRPC", key: "control.listen" }, address, thrown);
      }
    },
    async restoreSockets() {
      await Promise.all(kept.map((socket) => socket.restore()));
    },
    async drain(deadline) {
      gates.public.close();
      await Promise.all([gates.public.whenEmpty(deadline), gates.own.whenEmpty(deadline)]);
    },
    async close(deadline) {
      stopping.abort();
      for (const socket of kept) socket.close();
      await Promise.all(servers.map((server) => shutDown(server, deadline)));
    },
  };
}

/** Settles in time whatever clients do: grpc-js finds its connections for a forced end only with channelz on. */
async function shutDown(server: GrpcServer, deadline: Deadline): Promise<void> {
  const ended = await deadline.race(server.shutdown().then(() => true));
  if (!ended) server.forceShutdown();
}

function requestMessages(services: readonly DescService[]): Map<string, DescMessage> {
  return new Map(services.flatMap(({ methods }) => methods.map(({ input }) => [input.typeName, input] as const)));
}

function channelOptions(messageBytesMax: number) {
  return {
    "grpc.max_receive_message_length": messageBytesMax,
    "grpc.max_send_message_length": messageBytesMax,
    "grpc.keepalive_time_ms": 60_000,
    "grpc.keepalive_timeout_ms": 20_000,
    // Connections on which nothing runs; clients connect again by themselves.
    "grpc.max_connection_idle_ms": 60_000,
    "grpc.max_concurrent_streams": 1024,
    // The statistics of grpc-js itself have a history of leaks and nobody reads them.
    "grpc.enable_channelz": 0,
  };
}

type Bind = (target: string) => Promise<number>;

function listenAtTcp({ host, port }: Extract<Address, { kind: "tcp" }>, bind: Bind): Promise<string> {
  return listenAtHost(host, async (ip) => `tcp://${hostPort(ip, await bind(hostPort(ip, port)))}`);
}

function listenAtPath(
  path: string,
  { rights, makeFolder: make }: Entrance,
  bind: Bind,
  { events, log }: Pick<ApiDependencies, "events" | "log">,
): Promise<KeptSocket> {
  const makeFolder = make ?? (() => void mkdirSync(dirname(path), { recursive: true, mode: 0o700 }));
  makeFolder();
  return KeptSocket.open({
    path,
    rights,
    bind: async (temporary) => void (await bind(`unix://${temporary}`)),
    makeFolder,
    lost: (message, restored) => {
      log[restored ? "warn" : "error"]({ event: "server.socket_lost", path }, message);
      events.record("server.socket_lost", { message, attributes: { path, restored: String(restored) } });
    },
  });
}
