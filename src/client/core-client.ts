import { type Channel, createChannel, createClientFactory } from "nice-grpc";
import { type ClientMiddleware, Metadata } from "nice-grpc-common";
import { Health } from "../../gen/grpc/health/v1/health_pb.ts";
import { ConfigService } from "../../gen/roadrunner/config/v1/config_service_pb.ts";
import { DispatchService } from "../../gen/roadrunner/dispatch/v1/dispatch_service_pb.ts";
import { EventService } from "../../gen/roadrunner/event/v1/event_service_pb.ts";
import { PoolService } from "../../gen/roadrunner/pool/v1/pool_service_pb.ts";
import { WorkerService } from "../../gen/roadrunner/pool/v1/worker_service_pb.ts";
import { ServerService } from "../../gen/roadrunner/server/v1/server_service_pb.ts";
import { StatsService } from "../../gen/roadrunner/stats/v1/stats_service_pb.ts";
import { CALLER_METADATA } from "../grpc/caller-metadata.ts";
import "../grpc/quiet.ts";
import { DEFAULT_MAX_MESSAGE_BYTES } from "../grpc/dispatch-sizes.ts";
import { type ClientOf, serviceDefinition } from "../grpc/service-definition.ts";
import { fromClientError } from "../grpc/status.ts";
import { type CoreCredentials, channelCredentials, channelNaming } from "./core-credentials.ts";

/** Typed clients of all services of one core. Every method rejects with an RrError. */
export interface CoreClient {
  readonly pools: ClientOf<typeof PoolService>;
  readonly workers: ClientOf<typeof WorkerService>;
  readonly server: ClientOf<typeof ServerService>;
  readonly stats: ClientOf<typeof StatsService>;
  readonly events: ClientOf<typeof EventService>;
  readonly config: ClientOf<typeof ConfigService>;
  readonly dispatch: ClientOf<typeof DispatchService>;
  readonly health: ClientOf<typeof Health>;
  /** As it was given. */
  readonly address: string;
  readonly channel: Channel;
  close(): void;
}

export interface ConnectOptions {
  /** Most bytes of one message in either direction. */
  maxMessageBytes?: number;
  /** What the client shows of itself, where the core asks. */
  credentials?: CoreCredentials | undefined;
  /** Who it says it is, for people who read events: "alice, rrctl, pid 4711". */
  caller?: string | undefined;
}

/** gRPC's name of an address: "unix:///path" stays, "tcp://host:port" and "host:port" become "host:port". */
export function grpcTarget(address: string): string {
  if (address.startsWith("unix:")) return `unix://${address.replace(/^unix:(\/\/)?/, "")}`;
  return address.replace(/^tcp:\/\//, "");
}

/**
 * Connects to a core: "tcp://host:port", "host:port" or "unix:///path". Does not wait: an unreachable core shows with
 * the first call, as UNAVAILABLE.
 */
export function connectCore(address: string, options: ConnectOptions = {}): CoreClient {
  const maxMessageBytes = options.maxMessageBytes ?? DEFAULT_MAX_MESSAGE_BYTES;
  const { credentials = {}, caller } = options;
  const channel = createChannel(grpcTarget(address), channelCredentials(address, credentials), {
    ...channelNaming(address, credentials),
    "grpc.max_receive_message_length": maxMessageBytes,
    "grpc.max_send_message_length": maxMessageBytes,
    // A host that vanishes says nothing: calls on it fail, or go elsewhere, after so long.
    "grpc.keepalive_time_ms": 10_000,
    "grpc.keepalive_timeout_ms": 5_000,
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.max_reconnect_backoff_ms": 2_000,
    // A core is never behind the proxy that the environment names for the web.
    "grpc.enable_http_proxy": 0,
    // The statistics of grpc-js itself have a history of leaks and nobody reads them.
    "grpc.enable_channelz": 0,
  });
  const clients = createClientFactory().use(callerMiddleware(credentials, caller)).use(errorMiddleware);
  return {
    pools: clients.create(serviceDefinition(PoolService), channel),
    workers: clients.create(serviceDefinition(WorkerService), channel),
    server: clients.create(serviceDefinition(ServerService), channel),
    stats: clients.create(serviceDefinition(StatsService), channel),
    events: clients.create(serviceDefinition(EventService), channel),
    config: clients.create(serviceDefinition(ConfigService), channel),
    dispatch: clients.create(serviceDefinition(DispatchService), channel),
    health: clients.create(serviceDefinition(Health), channel),
    address,
    channel,
    close: () => channel.close(),
  } as CoreClient;
}

function callerMiddleware({ token }: CoreCredentials, caller: string | undefined): ClientMiddleware {
  return async function* (call, options) {
    const metadata = Metadata(options.metadata);
    if (token !== undefined) metadata.set("authorization", `Bearer ${token}`);
    if (caller !== undefined) metadata.set(CALLER_METADATA, caller.replace(/[^\x20-\x7e]/g, "?"));
    return yield* call.next(call.request, { ...options, metadata });
  };
}

/** Turns what gRPC throws into RrErrors, with the reason that travels in the trailer. */
const errorMiddleware: ClientMiddleware = async function* (call, options) {
  let trailer: Metadata | undefined;
  try {
    return yield* call.next(call.request, {
      ...options,
      onTrailer: (received) => {
        trailer = received;
        options.onTrailer?.(received);
      },
    });
  } catch (thrown) {
    throw fromClientError(thrown, trailer);
  }
};
