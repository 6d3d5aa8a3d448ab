import { readdirSync, readFileSync } from "node:fs";
import { Server } from "node:net";

/**
 * Every suite must leave the process as it found it: no child process, however deep, no listening server. What is left
 * is named, ended, and fails the suite that left it. So does a rejection that nobody handles.
 */

/** In the environment of all processes that tests start, and of those that these start. */
const MARK = `RRCTL_TEST_RUN=${process.pid}`;
process.env.RRCTL_TEST_RUN = String(process.pid);

/** What ends needs a moment to be seen as ended. */
const GRACE_MS = 2_000;

const troubles: string[] = [];
// Mocha hears of rejections and passes them on to whoever else listens, which is nobody.
process.on("unhandledRejection", (reason) => {
  const text = `a rejection that nobody handled: ${reason instanceof Error ? reason.stack : String(reason)}`;
  if (!troubles.includes(text)) troubles.push(text);
});
process.on("warning", (warning) => {
  if (warning.name === "MaxListenersExceededWarning") troubles.push(`a leak of listeners: ${warning.message}`);
});

export const mochaHooks = {
  beforeAll(this: Mocha.Context): void {
    const root = this.test!.parent!;
    // Hooks of the root run once for all files; a hook at the end of each file's suite tells who left something.
    for (const suite of root.suites)
      suite.afterAll("leaves no process and no server behind", async function () {
        this.timeout(GRACE_MS + 5_000);
        await leavesNothing();
      });
  },
};

async function leavesNothing(): Promise<void> {
  const deadlineMs = performance.now() + GRACE_MS;
  let left = leftovers();
  while (left.length > 0 && performance.now() < deadlineMs) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    left = leftovers();
  }
  for (const { end } of left) end();
  const problems = [...left.map(({ name }) => name), ...troubles.splice(0)];
  if (problems.length > 0) throw new Error(`the suite left behind ${problems.join("; ")}`);
}

interface Leftover {
  name: string;
  end(): void;
}

function leftovers(): Leftover[] {
  return [...leftServers(), ...leftProcesses()];
}

/** Node has no public list of handles that says more than their kind. */
function leftServers(): Leftover[] {
  const { _getActiveHandles } = process as unknown as { _getActiveHandles(): unknown[] };
  return _getActiveHandles.call(process).flatMap((handle) => {
    if (!(handle instanceof Server) || !handle.listening) return [];
    return [{ name: `a server listening on ${JSON.stringify(handle.address())}`, end: () => handle.close() }];
  });
}

/** Processes that inherited the mark, wherever they are by now. Only Linux tells. */
function leftProcesses(): Leftover[] {
  if (process.platform !== "linux") return [];
  return readdirSync("/proc").flatMap((name) => {
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid === process.pid) return [];
    try {
      if (!readFileSync(`/proc/${pid}/environ`, "latin1").split("\0").includes(MARK)) return [];
      const command = readFileSync(`/proc/${pid}/cmdline`, "latin1").split("\0").join(" ").trim();
      // A zombie has no command line: its parent has yet to ask for its status. The loader's compiler stays.
      if (command === "" || command.includes("esbuild")) return [];
      return [{ name: `process ${pid} (${command})`, end: () => endProcess(pid) }];
    } catch {
      return [];
    }
  });
}

function endProcess(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended by itself meanwhile.
  }
}
