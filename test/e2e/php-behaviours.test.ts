import { expect } from "chai";
import { eventually } from "../support/eventually.ts";
import { send } from "../support/http-load.ts";
import { needsPhp } from "../support/php.ts";
import { ServerProcess, stopServers } from "../support/server-process.ts";

/** Whatever PHP does ends in a status, a log line, an event and a counter of its own, and the pool is whole after it. */
interface Behaviour {
  /** Path and query. */
  path: string;
  status: number;
  /** Of the failed call; undefined: the call succeeds. */
  reason?: string;
  /** What the log says, on some line. */
  log: RegExp;
  /** Type of the event, and its reason. */
  event: [type: Parameters<ServerProcess["events"]>[0], reason: string];
  /** Which map of counters of the pool counts it, and under which name. */
  counter?: ["failures" | "workersEnded", string];
  /** What the client is told; nothing of the inside unless http.pool.debug is on. */
  body?: string;
  /** The worker goes on. */
  workerStays?: boolean;
}

const BEHAVIOURS: Record<string, Behaviour> = {
  "writes to standard output": {
    path: "write-stdout",
    status: 200,
    log: /direct text/,
    event: ["worker.stray_output", "STRAY_OUTPUT"],
    workerStays: true,
  },
  "throws what nobody catches": {
    path: "throw",
    status: 502,
    reason: "WORKER_EXITED",
    log: /ended with exit code 255.*nobody catches this/,
    event: ["worker.exited", "WORKER_EXITED"],
    counter: ["failures", "WORKER_EXITED"],
  },
  "calls exit(0)": {
    path: "exit-0",
    status: 502,
    reason: "WORKER_EXITED",
    log: /ended with exit code 0.*called exit\(\) or die\(\)/,
    event: ["worker.exited", "WORKER_EXITED"],
    counter: ["failures", "WORKER_EXITED"],
  },
  "calls exit(255)": {
    path: "exit-255",
    status: 502,
    reason: "WORKER_EXITED",
    log: /ended with exit code 255/,
    event: ["worker.exited", "WORKER_EXITED"],
    counter: ["workersEnded", "WORKER_EXITED"],
  },
  "is killed": {
    path: "sigkill",
    status: 502,
    reason: "WORKER_EXITED",
    log: /ended with signal SIGKILL.*killed from outside/,
    event: ["worker.exited", "WORKER_EXITED"],
    counter: ["failures", "WORKER_EXITED"],
  },
  crashes: {
    path: "sigsegv",
    status: 502,
    reason: "WORKER_EXITED",
    log: /ended with signal SIGSEGV.*crashed/,
    event: ["worker.exited", "WORKER_EXITED"],
    counter: ["failures", "WORKER_EXITED"],
  },
  "reaches its memory_limit": {
    path: "out-of-memory",
    status: 502,
    reason: "WORKER_OOM",
    log: /PHP reached its memory_limit/,
    event: ["worker.exited", "WORKER_OOM"],
    counter: ["failures", "WORKER_OOM"],
  },
  "sleeps past exec_ttl": {
    path: "sleep?20000",
    status: 504,
    reason: "EXEC_TIMEOUT",
    log: /execution limit of 700 ms/,
    event: ["worker.killed", "EXEC_TIMEOUT"],
    counter: ["failures", "EXEC_TIMEOUT"],
  },
  "answers with an error": {
    path: "error?no+luck+today",
    status: 500,
    reason: "WORKER_ERROR",
    log: /answered with an error: no luck today/,
    event: ["worker.error", "WORKER_ERROR"],
    counter: ["failures", "WORKER_ERROR"],
    workerStays: true,
  },
  "answers twice": {
    path: "twice",
    status: 200,
    log: /answered although nothing was asked/,
    event: ["worker.surplus_answer", "PROTOCOL_VIOLATION"],
    counter: ["workersEnded", "PROTOCOL_VIOLATION"],
  },
  "reports an error on top of its answer": {
    path: "answer-then-error",
    status: 200,
    log: /answered although nothing was asked; it was dropped: and an error/,
    event: ["worker.surplus_answer", "PROTOCOL_VIOLATION"],
    workerStays: true,
  },
  "answers with garbage": {
    path: "garbage",
    status: 502,
    reason: "PROTOCOL_VIOLATION",
    log: /broke the protocol: text that is not a frame.*This is no frame/,
    event: ["worker.killed", "PROTOCOL_VIOLATION"],
    counter: ["failures", "PROTOCOL_VIOLATION"],
  },
  "answers with half a frame": {
    path: "half-frame",
    status: 502,
    reason: "WORKER_EXITED",
    log: /ended with exit code 0 while it ran a call/,
    event: ["worker.exited", "WORKER_EXITED"],
    counter: ["failures", "WORKER_EXITED"],
  },
  "answers with status 42": {
    path: "status-42",
    status: 500,
    body: "unknown status code from worker: 42\n",
    log: /unknown status code from worker: 42/,
    event: ["worker.ready", ""],
    workerStays: true,
  },
  "leaks memory past the limit": {
    path: "leak?80",
    status: 200,
    log: /reached its limit \(memory\)/,
    event: ["worker.stopped", "memory"],
    counter: ["workersEnded", "memory"],
  },
};

describe("What PHP workers do, over HTTP", function () {
  this.timeout(30_000);
  let server: ServerProcess;
  before(async function () {
    needsPhp(this, "posix");
    server = await ServerProcess.start({
      pool: {
        num_workers: 2,
        supervisor: { exec_ttl: "700ms", max_worker_memory: 64, watch_tick: "100ms" },
        stop_grace: "300ms",
        stream_timeout: "500ms",
      },
    });
  });
  after(stopServers);

  for (const [what, behaviour] of Object.entries(BEHAVIOURS))
    it(`a worker that ${what}`, async () => {
      const before = { pids: await server.pids(), pool: await server.pool(), lines: server.log.length };
      const eventsBefore = await server.events(behaviour.event[0]);
      // POST: a call that is not repeated shows what became of it.
      const { status, body } = await send(`${server.httpUrl}/${behaviour.path}`, { method: "POST", body: "x" });
      expect(status).to.equal(behaviour.status);
      if (status >= 400) expect(body).to.equal(behaviour.body ?? "");
      await eventually("the log said it", () =>
        server.log.slice(before.lines).find(({ msg }) => behaviour.log.test(msg.replaceAll("\n", " "))),
      );
      if (behaviour.reason) {
        const line = await eventually("the frontend logged the request", () =>
          server.log.slice(before.lines).find(({ event }) => event === "http.request_failed"),
        );
        expect(line).to.include({ reason: behaviour.reason, status: behaviour.status, pool: "http" });
      }
      const [type, reason] = behaviour.event;
      if (reason !== "")
        await eventually(`the event ${type} with reason ${reason} was recorded`, async () => {
          const events = await server.events(type);
          return events.slice(eventsBefore.length).find((event) => event.reason === reason);
        });
      await server.whole();
      if (behaviour.counter) {
        const [map, name] = behaviour.counter;
        const counted = (await server.pool())[map][name] ?? 0n;
        expect(counted - (before.pool[map][name] ?? 0n)).to.equal(1n);
      }
      const after = await server.pids();
      if (behaviour.workerStays) expect(after).to.have.members(before.pids);
      else expect(after.filter((pid) => before.pids.includes(pid))).to.have.length(1);
      for (let round = 0; round < 4; round++)
        expect((await send(`${server.httpUrl}/echo?still+${round}`)).body).to.equal(`still ${round}`);
    });

  it("a worker that echoes: the text goes to the log, the answer to the client", async () => {
    const { status, body } = await send(`${server.httpUrl}/print`, { headers: { "X-Request-Id": "printing-1" } });
    expect([status, body]).to.deep.equal([200, "answered"]);
    const line = await server.logLine(({ msg }) => msg === "printed text");
    expect(line).to.include({ pool: "http", request_id: "printing-1" });
    expect(await server.pids()).to.include(line.pid);
  });

  it("a worker that logs to /dev/stderr by its path", async () => {
    expect((await send(`${server.httpUrl}/log-stderr?over+HTTP`)).status).to.equal(200);
    await server.logLine(({ msg }) => msg === "logged by path over HTTP");
  });

  it("a worker that streams for ever: it ends when its reader leaves", async () => {
    const before = await server.pids();
    const { request } = await import("node:http");
    await new Promise<void>((resolve) => {
      const outgoing = request(`${server.httpUrl}/stream-forever`, (incoming) => {
        incoming.on("error", () => {});
        let bytes = 0;
        incoming.on("data", (piece: Buffer) => {
          bytes += piece.length;
          if (bytes < 200_000) return;
          outgoing.destroy();
          resolve();
        });
      });
      outgoing.on("error", () => {});
      outgoing.end();
    });
    await server.whole();
    expect(await server.pids()).to.have.members(before);
    await server.logLine(({ msg }) => msg === "stream stopped");
  });

  it("a GET whose worker dies is repeated, and nobody notices but the events", async () => {
    const { writeFileSync } = await import("node:fs");
    const file = `${server.directory}/die-once`;
    writeFileSync(file, "");
    const { status, body } = await send(`${server.httpUrl}/die-once?${file}`);
    expect([status, body]).to.match(/^200,\d+$/);
    expect(await server.events("call.retried")).to.have.length(1);
    expect((await server.pool()).retries).to.equal(1n);
    await server.whole();
  });

  it("a worker that ignores SIGTERM: it is killed at the end, and the server ends in time", async () => {
    const ignoring = await ServerProcess.start({
      script: "ignores-stop.php",
      pool: { num_workers: 1, stop_grace: "200ms" },
    });
    expect((await send(`${ignoring.httpUrl}/echo?on`)).body).to.equal("on");
    ignoring.signal("SIGTERM");
    expect(await ignoring.ended(5_000)).to.deep.equal({ code: 0, signal: null });
    const steps = ignoring.log.filter(({ msg }) => /sending SIGTERM|ignored SIGTERM: killing it/.test(msg));
    expect(steps).to.have.length(2);
  });
});
