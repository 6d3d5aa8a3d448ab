import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { planEnd } from "../../src/async/end-plan.ts";
import { type CoreClient, connectCore } from "../../src/client/core-client.ts";
import { loadConfiguration } from "../../src/config/load.ts";
import { Core } from "../../src/core.ts";
import { type LogLine, memoryLog } from "./memory-log.ts";
import { phpFixture } from "./php.ts";

/** A whole core in this process, without frontends, and a client of it over a real socket. */
export interface TestCore {
  readonly core: Core;
  readonly client: CoreClient;
  readonly address: string;
  readonly directory: string;
  readonly lines: LogLine[];
  /** How often `ServerService.Shutdown` was called, with which time. */
  readonly shutdowns: (number | undefined)[];
}

const running: { testCore: TestCore; stop: () => Promise<void> }[] = [];

/** Pools by name, keys as in .rr.yaml. Default: one pool "echo" with two workers that do what a body says. */
export async function startCore(
  pools: Record<string, Record<string, unknown>> = { echo: { num_workers: 2 } },
  control: Record<string, unknown> = {},
  more: Record<string, unknown> = {},
): Promise<TestCore> {
  const directory = mkdtempSync(join(tmpdir(), "rr-test-core-"));
  const file = join(directory, ".rr.yaml");
  // YAML takes JSON.
  const text = JSON.stringify({
    version: "3",
    server: { command: `php ${phpFixture("worker.php")}` },
    pools,
    control: { listen: "tcp://127.0.0.1:0", ...control },
    ...more,
  });
  writeFileSync(file, text);
  const loaded = loadConfiguration({ file, cwd: directory, env: process.env, overrides: [] });
  const { log, lines } = memoryLog();
  const shutdowns: (number | undefined)[] = [];
  const core = new Core({
    loaded,
    baseEnv: process.env,
    log,
    frontendArguments: [],
    withFrontends: false,
    onShutdown: (timeoutMs) => shutdowns.push(timeoutMs),
  });
  await core.start();
  const [address] = core.control.controlAddresses;
  const client = connectCore(address!);
  const testCore = { core, client, address: address!, directory, lines, shutdowns };
  const stop = async () => {
    client.close();
    await core.stop(planEnd(500));
    rmSync(directory, { recursive: true, force: true });
  };
  running.push({ testCore, stop });
  return testCore;
}

/** For `after` and `afterEach`. */
export async function stopCores(): Promise<void> {
  await Promise.all(running.splice(0).map(({ stop }) => stop()));
}
