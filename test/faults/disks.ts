import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { childrenOf, commandOf, freePort, type Place, Program, stormConfig } from "./program.ts";
import { pause, type Scenario } from "./storm.ts";

const DISK_BYTES = 8 * 1024 * 1024;
const FULL_FOR_MS = 2_000;

/** The disk that logs and uploads are on fills up and is freed. */
export const fullDisk: Scenario = {
  name: "disk of logs and uploads full",
  unable: () => (process.getuid?.() === 0 ? undefined : "only root may mount a small disk"),
  async prepare(place) {
    const disk = join(place.folder, "disk");
    mkdirSync(disk);
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${DISK_BYTES}`, "tmpfs", disk]);
    const log = join(disk, "server.log");
    const server = await oneServer(place, {
      logs: { output: log, level: "debug", encoding: "json" },
      http: { uploads: { dir: disk } },
    });
    return {
      ...server,
      async harm(_load, round) {
        const filler = join(disk, "filler");
        fill(filler);
        await pause(FULL_FOR_MS);
        rmSync(filler, { force: true });
        // Logs grow without end on so small a disk; whoever rotates them takes them away.
        rmSync(log, { force: true });
        if (round % 2 === 1) await pause(FULL_FOR_MS / 4);
      },
      undo: () => execFileSync("umount", ["-l", disk]),
    };
  },
};

/** Takes all the space that is left. */
function fill(path: string): void {
  for (let chunk = 1 << 20; chunk >= 1 << 12; chunk >>= 1)
    try {
      for (;;) writeFileSync(path, Buffer.alloc(chunk), { flag: "a" });
    } catch {
      // A smaller piece may still fit.
    }
}

/** Nobody reads what the server says. */
export const closedStreams: Scenario = {
  name: "standard error closed",
  async prepare(place) {
    const server = await oneServer(place, { logs: { output: "stderr", level: "debug", mode: "production" } }, "closed");
    return { ...server, harm: () => pause(1_000) };
  },
};

/** The folder of the log is removed, or moved away as rotation does it. */
export const removedLogFolder: Scenario = {
  name: "log folder removed",
  async prepare(place) {
    const folder = join(place.folder, "logs");
    const log = join(folder, "server.log");
    const server = await oneServer(place, { logs: { output: log, level: "debug", encoding: "json" } });
    return {
      ...server,
      async harm(_load, round) {
        if (round % 2 === 0 || !existsSync(folder)) cleanUp(folder);
        else {
          cleanUp(`${folder}.1`);
          renameSync(folder, `${folder}.1`);
        }
        await pause(1_500);
      },
      async check() {
        await pause(1_500);
        try {
          return readFileSync(log, "utf8").length > 0 ? [] : ["the log is empty after it was moved away"];
        } catch {
          return ["the log was not opened again after its folder had been removed"];
        }
      },
    };
  },
};

/** Somebody tidies the folders for temporary files: whatever is there goes. */
export const temporaryFilesCleaned: Scenario = {
  name: "temporary folders cleaned",
  async prepare(place) {
    const server = await oneServer(place, { http: { pool: { num_workers: 4 } } });
    return {
      ...server,
      async harm(_load, round) {
        for (const folder of [place.temporary, place.runtime])
          for (const name of readdirSync(folder)) cleanUp(join(folder, name));
        await pause(500);
        // What it needs its folder for: a frontend that starts anew has to find the core.
        if (round % 3 === 2) killFrontend(server.programs[0]);
        await pause(1_500);
      },
    };
  },
};

/** As tidy programs do it: what comes into a folder while it is emptied stays until the next time. */
function cleanUp(path: string): void {
  try {
    rmSync(path, { recursive: true, force: true });
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code !== "ENOTEMPTY") throw thrown;
  }
}

function killFrontend(program: Program): void {
  const frontend = childrenOf(program.pid).find((pid) => /http\/main/.test(commandOf(pid)));
  if (frontend !== undefined) process.kill(frontend, "SIGKILL");
}

async function oneServer(place: Place, more: Record<string, unknown>, stderr: "kept" | "closed" = "kept") {
  const port = await freePort();
  const program = new Program({ place, config: stormConfig(port, more), argv: ["serve"], stderr }, "server");
  return { programs: [program] as const, url: `http://127.0.0.1:${port}` };
}
