// npm run test:soak: ten minutes of mixed load with resets, scaling and killed workers, looking for growth. Argument:
// --seconds N.
import { parseArgs } from "node:util";
import { connectCore } from "../../src/client/core-client.ts";
import { childrenOf, commandOf, freePort, type Place, Program, stormConfig } from "../faults/program.ts";
import { pause, runStorm, type Scenario } from "../faults/storm.ts";
import { Growth } from "./growth.ts";

const HARM_EVERY_MS = 5_000;
const growth = new Growth();

const soak: Scenario = {
  name: "soak",
  async prepare(place: Place) {
    const [port, control] = [await freePort(), await freePort()];
    const config = stormConfig(port, {
      control: { listen: `tcp://127.0.0.1:${control}` },
      http: { pool: { max_jobs: 2000 } },
    });
    const program = new Program({ place, config, argv: ["serve"] }, "server");
    const client = connectCore(`127.0.0.1:${control}`);
    return {
      programs: [program],
      url: `http://127.0.0.1:${port}`,
      async harm(_load, round) {
        const children = childrenOf(program.pid);
        growth.sample(program.pid, "core");
        for (const pid of children) if (/http\/main/.test(commandOf(pid))) growth.sample(pid, "frontend");
        const worker = children.find((pid) => /storm\.php/.test(commandOf(pid)));
        if (round % 4 === 0) await client.pools.resetPool({ pool: "http" });
        else if (round % 4 === 1) await client.pools.scalePool({ pool: "http", workers: 2 + (round % 6) });
        else if (round % 4 === 2 && worker !== undefined) process.kill(worker, "SIGKILL");
        await pause(HARM_EVERY_MS);
      },
      check: async () => growth.faults(),
      undo: () => client.close(),
    };
  },
};

const { values } = parseArgs({ options: { seconds: { type: "string" } } });
const seconds = Number(values.seconds ?? 600);
const { figures, faults } = await runStorm(soak, seconds);
const { answered, repeated, failedIdempotent, failedOther, wrong, longestMs } = figures;
const lines = [
  `soak of ${seconds} s: ${answered} answers, ${wrong} wrong, ${failedIdempotent} GET and ${failedOther} POST failed, ${repeated} repeated, longest ${(longestMs / 1000).toFixed(1)} s`,
  ...growth.figures().map((line) => `  ${line}`),
  ...faults.map((fault) => `  ✗ ${fault}`),
];
process.stdout.write(`${lines.join("\n")}\n`);
process.exit(faults.length > 0 ? 1 : 0);
