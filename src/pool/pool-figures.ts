import { Distribution } from "../stats/distribution.ts";

/** What a pool has counted since the server started. */
export class PoolFigures {
  executions = 0;
  retries = 0;
  workersStarted = 0;
  /** Calls that failed, by reason. */
  readonly failures = new Map<string, number>();
  /** Boots that failed, by reason. */
  readonly bootFailures = new Map<string, number>();
  /** Responses of the application by the first digit of their status, as frontends report them. */
  readonly responses = new Map<string, number>();
  readonly workersEnded = new Map<string, number>();
  readonly queueTime = new Distribution();
  readonly execTime = new Distribution();
  readonly bootTime = new Distribution();

  countFailure(reason: string): void {
    add(this.failures, reason, 1);
  }

  countBootFailure(reason: string): void {
    add(this.bootFailures, reason, 1);
  }

  countEnded(reason: string): void {
    add(this.workersEnded, reason, 1);
  }

  /** @param statusClass "1xx" to "5xx" */
  countResponses(statusClass: string, count: number): void {
    add(this.responses, statusClass, count);
  }
}

function add(counts: Map<string, number>, key: string, count: number): void {
  counts.set(key, (counts.get(key) ?? 0) + count);
}
