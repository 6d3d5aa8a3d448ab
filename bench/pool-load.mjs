// Executions of a pool without anything before it: no gRPC, no HTTP. In a process of its own.
//   node bench/pool-load.mjs '{"command":["php","php/examples/echo.php"],"inFlight":32,"seconds":5}'
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Deadline } from "../dist/src/async/deadline.js";
import { systemClock } from "../dist/src/clock.js";
import { loadConfiguration } from "../dist/src/config/load.js";
import { EventLog } from "../dist/src/events/event-log.js";
import { silentLog } from "../dist/src/log.js";
import { Pool } from "../dist/src/pool/pool.js";
import { measure } from "./measure.mjs";

const { command, inFlight, seconds, warmUpSeconds } = JSON.parse(process.argv[2]);
const RAW = 1;
const directory = mkdtempSync(join(tmpdir(), "rr-bench-"));
const file = join(directory, ".rr.yaml");
writeFileSync(
  file,
  `version: "3"\nserver: {command: ${JSON.stringify(command)}}\npools: {echo: {num_workers: 2, command: ${JSON.stringify(command)}}}\n`,
);
const { configuration } = loadConfiguration({
  file,
  cwd: directory,
  env: process.env,
  overrides: [],
  dotenv: undefined,
});
const pool = new Pool(configuration.pools[0], {
  clock: systemClock,
  log: silentLog,
  events: new EventLog(100),
  baseEnv: process.env,
});
await pool.start();
const request = { context: Buffer.from("{}"), body: Buffer.from("hello"), codec: RAW };
const result = await measure(
  (done) => {
    pool.dispatch(
      { request, idempotent: true, requestId: "" },
      {
        reply: ({ more }) => {
          if (!more) done(true);
          return true;
        },
        failed: () => done(false),
      },
    );
  },
  { inFlight, seconds, warmUpSeconds },
);
await pool.stop(Deadline.after(5_000));
rmSync(directory, { recursive: true, force: true });
process.stdout.write(JSON.stringify(result));
process.exit(0);
