import { Distribution } from "../stats/distribution.ts";

/** What a pool has counted since the server started. */
export class PoolFigures {
  executions = 0;
  retries = 0;
  workersStarted = 0;
  readonly failures = new Map<string, number>();
  readonly workersEnded = new Map<string, number>();
  readonly queueTime = new Distribution();
  readonly execTime = new Distribution();
  readonly bootTime = new Distribution();

  countFailure(reason: string): void {
    this.failures.set(reason, (this.failures.get(reason) ?? 0) + 1);
  }

  countEnded(reason: string): void {
    this.workersEnded.set(reason, (this.workersEnded.get(reason) ?? 0) + 1);
  }
}
