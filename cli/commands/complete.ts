import { type Candidate, complete, type Lookup, renderCandidates } from "../completion.ts";
import { LazyCoreAccess } from "../core-access.ts";
import { stateName } from "../message-data.ts";
import type { ProgramOptions } from "../program.ts";
import { resolveGlobals } from "../program.ts";

/** Someone waits with a finger on Tab. */
const LOOKUP_TIMEOUT_MS = 1000;

/** `rrctl __complete -- <words>`: what the completion scripts call. Says nothing when something is wrong. */
export async function printCandidates(words: readonly string[], options: ProgramOptions): Promise<number> {
  await options.terminal.write(renderCandidates(await complete(words, coreLookup(words, options))));
  return 0;
}

/** Asks the core that the line typed so far names. */
function coreLookup(words: readonly string[], options: ProgramOptions): Lookup {
  return async (source) => {
    const { cwd, env, terminal, interruption } = options;
    const globals = resolveGlobals(globalsOf(words), {}, cwd);
    const core = new LazyCoreAccess({ globals, env, terminal, timeoutMs: LOOKUP_TIMEOUT_MS, interruption });
    try {
      return await core.ask("completing", async (client, signal): Promise<Candidate[]> => {
        if (source === "pools") {
          const { PoolState } = await import("../../gen/roadrunner/pool/v1/pool_pb.ts");
          const { pools } = await client.pools.listPools({}, { signal });
          return pools.map((pool) => ({ value: pool.name, description: stateName(PoolState, pool.state) }));
        }
        const { WorkerState } = await import("../../gen/roadrunner/pool/v1/pool_pb.ts");
        const { workers } = await client.workers.listWorkers({}, { signal });
        return workers.map(({ pid, pool, state }) => ({
          value: String(pid),
          description: `${pool}, ${stateName(WorkerState, state)}`,
        }));
      });
    } catch {
      return [];
    } finally {
      await core.close();
    }
  };
}

const FOUND: Readonly<Record<string, string>> = {
  "--address": "address",
  "--token-file": "tokenFile",
  "--tls-ca": "tlsCa",
  "--tls-cert": "tlsCert",
  "--tls-key": "tlsKey",
  "-c": "config",
  "--config": "config",
  "--workdir": "workdir",
  "--dotenv": "dotenv",
};

function globalsOf(words: readonly string[]): Record<string, string> {
  const found: Record<string, string> = {};
  for (const [index, word] of words.entries()) {
    const [flag, value] = word.split(/=(.*)/s) as [string, string | undefined];
    const name = FOUND[flag];
    const given = value ?? words[index + 1];
    if (name !== undefined && given !== undefined) found[name] = given;
  }
  return found;
}
