import { connectCore } from "../src/client/core-client.ts";
import { createDispatchClient } from "../src/client/dispatch-stream.ts";
import { startCore, stopCores } from "./support/test-core.ts";

const t = performance.now();
const L = (x: string) => console.log(x, Math.round(performance.now() - t));
const first = await startCore({ echo: { num_workers: 1 } });
L("started");
const client = connectCore(first.address);
const d = createDispatchClient(client);
const call = (body: string) =>
  new Promise((res, rej) =>
    d.open(
      {
        pool: "echo",
        context: new Uint8Array(0),
        body: Buffer.from(body),
        codec: 0,
        moreBody: false,
        idempotent: false,
        requestId: "",
        windowBytes: 0,
        timeoutMs: 0,
      } as any,
      {
        reply: (p) => {
          if (!p.more) res(Buffer.from(p.body).toString());
        },
        failed: rej,
      },
    ),
  );
L(String(await call("echo one")));
await client.pools.getPool({});
L("getPool");
await client.pools.getPool({});
L("getPool");
await first.client.pools.getPool({});
L("getPool first");
const lost = call("sleep 60000").catch((e) => L("lost " + e.message));
await first.client.pools.getPool({});
L("x");
const c = first.core as any;
first.client.close();
await c.stop(500);
L("stopped");
d.close();
client.close();
