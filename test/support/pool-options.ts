import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { PoolOptions, RelayOptions, SupervisorOptions } from "../../src/config/options.ts";
import { formatAddress } from "../../src/net/address.ts";
import { PHP_FIXTURES, phpFixture } from "./php.ts";

export type PoolOverrides = Partial<Omit<PoolOptions, "supervisor">> & {
  /** A script in test/fixtures/php and its arguments, instead of `command`. */
  script?: string;
  supervisor?: Partial<SupervisorOptions>;
};

/** The one place where tests know what a pool's options are: short times, one worker. */
export function poolOptions(overrides: PoolOverrides = {}): PoolOptions {
  const { script = "worker.php", supervisor, ...rest } = overrides;
  const [file, ...args] = script.split(" ");
  const relay = overrides.relay ?? { kind: "pipes" };
  return {
    name: "test",
    command: ["php", phpFixture(file!), ...args],
    workingDirectory: PHP_FIXTURES,
    user: undefined,
    group: undefined,
    passedEnv: undefined,
    relay,
    protocol: "goridge3",
    debug: false,
    numWorkers: 1,
    numWorkersMax: 16,
    maxJobs: 0,
    maxQueueLength: 100,
    queueWaitMs: 5_000,
    bootTimeoutMs: 5_000,
    destroyTimeoutMs: 5_000,
    resetTimeoutMs: 5_000,
    retireTimeoutMs: 5_000,
    streamTimeoutMs: 2_000,
    stopGraceMs: 2_000,
    frameBytesMax: 1 << 28,
    dynamicAllocator: undefined,
    ...rest,
    env: { RR_RELAY: relayText(relay), ...rest.env },
    supervisor: {
      watchTickMs: 50,
      ttlMs: 0,
      idleTtlMs: 0,
      execTtlMs: 0,
      workerMemoryBytesMax: 0,
      ...supervisor,
    },
  };
}

function relayText(relay: RelayOptions): string {
  if (relay.kind === "pipes") return "pipes";
  return formatAddress(relay);
}

/** A relay of that kind that nobody else uses, and how to clean up after it. */
export async function freshRelay(
  kind: "pipes" | "unix" | "tcp",
): Promise<{ relay: RelayOptions; dispose: () => void }> {
  if (kind === "pipes") return { relay: { kind }, dispose: () => {} };
  if (kind === "tcp") return { relay: { kind, host: "127.0.0.1", port: await freePort() }, dispose: () => {} };
  const directory = mkdtempSync(join(tmpdir(), "rr-test-"));
  return {
    relay: { kind, path: join(directory, "relay.sock") },
    dispose: () => rmSync(directory, { recursive: true, force: true }),
  };
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}
