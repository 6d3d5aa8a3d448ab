import { type ClientHttp2Session, connect } from "node:http2";
import { create, type DescMethod, type DescService, toBinary } from "@bufbuild/protobuf";
import { Health } from "../../gen/grpc/health/v1/health_pb.ts";
import { ConfigService } from "../../gen/roadrunner/config/v1/config_service_pb.ts";
import { DispatchService, DispatchStreamRequestSchema } from "../../gen/roadrunner/dispatch/v1/dispatch_service_pb.ts";
import { EventService } from "../../gen/roadrunner/event/v1/event_service_pb.ts";
import { PoolService } from "../../gen/roadrunner/pool/v1/pool_service_pb.ts";
import { WorkerService } from "../../gen/roadrunner/pool/v1/worker_service_pb.ts";
import { ServerService } from "../../gen/roadrunner/server/v1/server_service_pb.ts";
import { StatsService } from "../../gen/roadrunner/stats/v1/stats_service_pb.ts";
import { Budget, type Fuzz } from "./fuzzer.ts";
import { mutate, Random } from "./random.ts";
import { FuzzTarget } from "./target.ts";

/** These end or pause what the others are tried on, and an empty message is enough: they are left out. */
const HARMFUL = /Shutdown|Drain|PausePool|ScalePool|KillWorker|RestartWorker|RemoveWorker|AddWorker|ResetPool/;
const SERVICES = [
  ConfigService,
  DispatchService,
  EventService,
  PoolService,
  WorkerService,
  ServerService,
  StatsService,
  Health,
] as unknown as readonly DescService[];

const STREAMS_AT_ONCE = 32;
/** A session that was told too much nonsense may be ended by either side; it is a new one after so many calls anyway. */
const CALLS_PER_SESSION = 5_000;
const CALL_LIMIT_MS = 2_000;

interface Target {
  readonly path: string;
  /** It answers until it is told to end. */
  readonly endless: boolean;
  readonly seeds: readonly Buffer[];
}

function targets(): Target[] {
  return SERVICES.flatMap(({ typeName, methods }) =>
    methods
      .filter(({ name }) => !HARMFUL.test(name))
      .map((method) => ({
        path: `/${typeName}/${method.name}`,
        endless: method.methodKind.endsWith("streaming"),
        seeds: seedsOf(method),
      })),
  );
}

/** Messages to change: texts with names of pools, numbers at their edges, nested and unknown fields. */
function seedsOf({ input }: DescMethod): Buffer[] {
  const pool = Buffer.from([0x0a, 0x04, ...Buffer.from("http")]);
  const seeds = [
    Buffer.from([0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]),
    Buffer.from([0x12, 0x02, 0x08, 0x01, 0x1a, 0x03, 0x0a, 0x01, 0x78]),
    Buffer.concat(Array.from({ length: 50 }, () => Buffer.from([0x82, 0x7d, 0x01, 0x78]))),
    Buffer.concat(Array.from({ length: 40 }, () => Buffer.from([0x0b]))),
  ];
  seeds.push(pool, Buffer.from(toBinary(input, create(input))));
  if (input.typeName === DispatchStreamRequestSchema.typeName) seeds.push(Buffer.from(dispatchCommands()));
  return seeds;
}

function dispatchCommands(): Uint8Array {
  const open = { pool: "http", body: Buffer.from("echo x"), windowBytes: 1000 };
  const commands = [
    { callId: 1, command: { case: "open", value: open } },
    { callId: 1, command: { case: "grant", value: { bytes: 0xffffffff } } },
    { callId: 2, command: { case: "open", value: { ...open, moreBody: true } } },
    { callId: 2, command: { case: "body", value: { data: new Uint8Array(100), last: false } } },
    { callId: 2, command: { case: "file", value: { fileId: 1, data: new Uint8Array(100), last: true } } },
    { callId: 1, command: { case: "cancel", value: {} } },
  ] as const;
  return Buffer.from(toBinary(DispatchStreamRequestSchema, create(DispatchStreamRequestSchema, { commands } as never)));
}

/** What anybody may send to the gRPC API: bytes as messages, broken frames around them, methods that are not there. */
export const fuzz: Fuzz = async (options) => {
  const budget = new Budget(options);
  const random = new Random(options.seed);
  const all = targets();
  const target = await FuzzTarget.start(budget, { pool: { num_workers: 2, supervisor: { exec_ttl: "5s" } } });
  const statuses: Record<string, number> = {};
  const count = (name: string) => {
    statuses[name] = (statuses[name] ?? 0) + 1;
  };
  const origin = target.server.controlAddress.replace("tcp://", "http://");
  while (budget.left) {
    const session = connect(origin);
    session.on("error", () => {});
    let calls = 0;
    await Promise.all(
      Array.from({ length: STREAMS_AT_ONCE }, async () => {
        while (budget.left && !session.closed && !session.destroyed && calls < CALLS_PER_SESSION) {
          calls++;
          budget.spend();
          count(await call(session, random.pick(all), random));
        }
      }),
    );
    session.destroy();
  }
  const { findings, figures } = await target.end();
  const tagged = findings.map((finding) => `seed ${options.seed}: ${finding}`);
  return { inputs: budget.used, seconds: budget.seconds, findings: tagged, figures: { ...statuses, ...figures } };
};

/** One call, in which the message, its frame, the path or the headers are wrong. Returns how it ended. */
function call(session: ClientHttp2Session, { path, endless, seeds }: Target, random: Random): Promise<string> {
  const message = mutate(random.pick(seeds), random);
  const prefix = Buffer.from([0, 0, 0, 0, 0]);
  prefix.writeUInt32BE(message.length, 1);
  let body: Buffer = Buffer.concat([prefix, message]);
  if (random.oneIn(20)) body = mutate(body, random);
  if (random.oneIn(20)) body = Buffer.concat([body, body]);
  return new Promise((resolve) => {
    let status = "none";
    const stream = session.request({
      ":method": "POST",
      ":path": random.oneIn(100) ? `${path}x` : path,
      "content-type": random.oneIn(100) ? "text/plain" : "application/grpc",
      te: "trailers",
      ...(random.oneIn(10) && { "grpc-timeout": random.pick(["1n", "1u", "5m", "99999999H", "x", "-1S", ""]) }),
      ...(random.oneIn(50) && { "grpc-encoding": random.pick(["gzip", "identity", "x"]) }),
    });
    const limitMs = endless || random.oneIn(10) ? random.below(20) : CALL_LIMIT_MS;
    const timer = setTimeout(() => stream.close(8), limitMs);
    const seen = (headers: Record<string, unknown>) => {
      if (headers["grpc-status"] !== undefined) status = String(headers["grpc-status"]);
    };
    stream.on("response", seen);
    stream.on("trailers", seen);
    stream.on("error", () => {});
    stream.on("close", () => {
      clearTimeout(timer);
      resolve(`grpc_${status}`);
    });
    stream.resume();
    stream.end(body);
  });
}
