import { childrenOf, commandOf, freePort, isRunning, type Place, Program, stormConfig } from "./program.ts";
import { type Prepared, pause, type Scenario } from "./storm.ts";

const pick = <Item>(items: readonly Item[]): Item | undefined => items[Math.floor(Math.random() * items.length)];

/** Of a server or of frontends alone: the processes that parse HTTP. */
const frontendsOf = (program: Program) => childrenOf(program.pid).filter((pid) => /http\/main/.test(commandOf(pid)));
const workersOf = (program: Program) => childrenOf(program.pid).filter((pid) => /storm\.php/.test(commandOf(pid)));

function signal(pid: number | undefined, name: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(pid, name);
  } catch {
    // It ended by itself a moment ago.
  }
}

/**
 * Two cores behind two frontends, and each of the four is killed by turns: one of each kind always lives. A core that is
 * killed is started again by the test, as a service manager would.
 */
export const frontendsAndCores: Scenario = {
  name: "frontends and cores killed by turns",
  async prepare(place): Promise<Prepared> {
    const port = await freePort();
    const addresses = [await freePort(), await freePort()].map((control) => `127.0.0.1:${control}`);
    const cores = addresses.map(
      (address, index) =>
        new Program(
          {
            place,
            config: stormConfig(port, { control: { listen: `tcp://${address}` } }),
            argv: ["serve", "--no-frontends"],
          },
          `core-${index}`,
        ),
    );
    const frontends = new Program(
      {
        place,
        config: stormConfig(port, { http: { frontends: 2 } }),
        argv: ["frontend", "--core", addresses.join(",")],
      },
      "frontends",
    );
    return {
      programs: [...cores, frontends],
      url: `http://127.0.0.1:${port}`,
      async harm(_load, round) {
        // One that dies before its start is over has a start that failed.
        await frontends.started();
        if (round % 2 === 0) {
          const [first, second] = frontendsOf(frontends);
          // Never the last one: the other has to be there already.
          if (first !== undefined && second !== undefined) signal(pick([first, second]), "SIGKILL");
        } else {
          const core = cores[(round >> 1) % 2]!;
          await core.kill("SIGKILL");
          await pause(500);
          await core.start();
        }
        await pause(3_000);
      },
    };
  },
};

/** Workers are killed, crash, stand still, and leak beyond their limit of memory. */
export const workers: Scenario = {
  name: "workers killed, stopped, leaking",
  async prepare(place: Place): Promise<Prepared> {
    const port = await freePort();
    const url = `http://127.0.0.1:${port}`;
    const limits = { supervisor: { exec_ttl: "3s", max_worker_memory: 64, watch_tick: "1s" }, max_jobs: 500 };
    const config = stormConfig(port, { http: { pool: limits } });
    const program = new Program({ place, config, argv: ["serve"] }, "server");
    const stopped: number[] = [];
    return {
      programs: [program],
      url,
      async harm(_load, round) {
        const worker = pick(workersOf(program));
        if (round % 4 === 0) signal(worker, "SIGKILL");
        else if (round % 4 === 1) signal(worker, "SIGSEGV");
        else if (round % 4 === 2) await leak(url);
        else if (worker !== undefined && stopped.every((pid) => !isRunning(pid))) {
          // One that stands still is found by `exec_ttl`, if it has a call; else it would stand there for good.
          stopped.push(worker);
          signal(worker, "SIGSTOP");
          await pause(1_000);
          if (isRunning(worker)) signal(worker, "SIGCONT");
        }
      },
    };
  },
};

async function leak(url: string): Promise<void> {
  await Promise.all(Array.from({ length: 8 }, () => fetch(`${url}/leak?token=leak`).catch(() => {})));
}
