import { setTimeout as sleep } from "node:timers/promises";
import { HealthCheckResponse_ServingStatus as ServingStatus } from "../../gen/grpc/health/v1/health_pb.ts";
import type { CoreClient } from "./core-client.ts";

/** Between the end of a watch and the next one. */
const RETRY_DELAY_MS = 500;

/** Follows what a core says of the health of pools, by the standard health service of gRPC. */
export class PoolHealth {
  readonly #statuses = new Map<string, ServingStatus>();
  readonly #abort = new AbortController();

  constructor(core: CoreClient, pools: readonly string[]) {
    for (const pool of pools) void this.#follow(core, pool);
  }

  /** True as long as nothing is known: whether the core can be reached at all shows elsewhere. */
  serves(pool: string): boolean {
    const status = this.#statuses.get(pool);
    return status === undefined || status === ServingStatus.SERVING;
  }

  close(): void {
    this.#abort.abort();
  }

  async #follow(core: CoreClient, pool: string): Promise<void> {
    const { signal } = this.#abort;
    while (!signal.aborted) {
      try {
        for await (const { status } of core.health.watch({ service: pool }, { signal }))
          this.#statuses.set(pool, status);
      } catch {
        // The dispatch stream breaks with it and tells why.
      }
      this.#statuses.delete(pool);
      await sleep(RETRY_DELAY_MS, undefined, { signal }).catch(() => {});
    }
  }
}
