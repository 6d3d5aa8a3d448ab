// Dispatch load from a process of its own, as a frontend would make it: calls over gRPC, so many in flight.
//   node bench/dispatch-load.mjs '{"address":"127.0.0.1:6002","mode":"stream","inFlight":32,"seconds":5}'
import { connectCore } from "../dist/src/client/core-client.js";
import { createDispatchClient } from "../dist/src/client/dispatch-client.js";
import { measure } from "./measure.mjs";

const { address, pool, mode, inFlight, seconds, warmUpSeconds } = JSON.parse(process.argv[2]);
const RAW = 1;
const context = Buffer.from("{}");
const body = Buffer.from("hello");

const core = connectCore(address);
const call = mode === "stream" ? streamCall() : unaryCall();
process.stdout.write(JSON.stringify(await measure(call, { inFlight, seconds, warmUpSeconds })));
process.exit(0);

function streamCall() {
  const dispatch = createDispatchClient([core]);
  const request = {
    pool,
    context,
    body,
    codec: RAW,
    moreBody: false,
    idempotent: true,
    requestId: "",
    windowBytes: 0,
    timeoutMs: 0,
  };
  return (done) => {
    dispatch.open(request, {
      reply: ({ more }) => {
        if (!more) done(true);
      },
      failed: () => done(false),
    });
  };
}

function unaryCall() {
  const request = { pool, payload: { context, body, codec: RAW }, idempotent: true };
  return (done) => {
    core.dispatch.dispatch(request).then(
      () => done(true),
      () => done(false),
    );
  };
}
