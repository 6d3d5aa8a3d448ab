import { mkdtempSync, rmSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encodeFrame, FLAG } from "../../src/goridge/frame.ts";
import { Budget, type Fuzz } from "./fuzzer.ts";
import { mutate, Random } from "./random.ts";
import { FuzzTarget } from "./target.ts";

const METHODS = ["rpc.Version", "rpc.Config", "informer.List", "informer.Workers", "status.Status", "kv.Set", "x", ""];
const ARGUMENTS = ['""', '"http"', "null", "true", "1", '{"plugin":"http"}', "[[[[", "\xff\xfe", "{}"];
const CODECS = [FLAG.JSON, FLAG.RAW, FLAG.PROTO, FLAG.MSGPACK, FLAG.GOB, 0];
const CONNECTIONS = 8;
/** Inputs that one connection is given, most of which end it, before what it still answers is waited for. */
const PER_CONNECTION_MAX = 50;
const ANSWER_LIMIT_MS = 5_000;

function request(random: Random, sequence: number): Buffer {
  const method = Buffer.from(random.pick(METHODS));
  const argument = Buffer.from(random.pick(ARGUMENTS), "latin1");
  return encodeFrame(random.pick(CODECS), 0, [sequence, method.length], method, argument);
}

/** What may arrive at `rpc.listen`: frames that are changed a little or a lot, many connections at a time. */
export const fuzz: Fuzz = async (options) => {
  const budget = new Budget(options);
  const random = new Random(options.seed);
  const folder = mkdtempSync(join(tmpdir(), "rr-fuzz-"));
  const path = join(folder, "rpc.sock");
  const target = await FuzzTarget.start(budget, { rpc: { listen: `unix://${path}` } });
  const counts = { answered_bytes: 0, connections: 0, honest_answers: 0 };
  const strangers = Array.from({ length: CONNECTIONS }, async () => {
    while (budget.left) {
      counts.connections++;
      counts.answered_bytes += await stranger(path, random, budget);
    }
  });
  const honest = (async () => {
    while (budget.left) {
      const problem = await honestCall(path);
      if (problem) target.found(`seed ${options.seed}: an honest client ${problem}`);
      else counts.honest_answers++;
    }
  })();
  await Promise.all([...strangers, honest]);
  const { findings, figures } = await target.end();
  rmSync(folder, { recursive: true, force: true });
  return { inputs: budget.used, seconds: budget.seconds, findings, figures: { ...counts, ...figures } };
};

/** One connection with inputs until it is closed or has had enough. Returns how many bytes it was answered with. */
function stranger(path: string, random: Random, budget: Budget): Promise<number> {
  return new Promise((resolve) => {
    const socket = connect(path);
    let bytes = 0;
    let closed = false;
    socket.on("data", (chunk) => {
      bytes += chunk.length;
    });
    socket.on("error", () => {});
    socket.on("close", () => {
      closed = true;
      resolve(bytes);
    });
    socket.on("connect", async () => {
      for (let inputs = 1 + random.below(PER_CONNECTION_MAX); inputs > 0 && !closed && budget.left; inputs--) {
        const input = random.oneIn(10) ? request(random, inputs) : mutate(request(random, inputs), random);
        budget.spend();
        if (!socket.write(input)) await drained(socket);
      }
      // Whatever is half said stays so: the server has to live with it until this side leaves.
      setTimeout(() => socket.destroy(), random.below(20));
    });
  });
}

function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.once("drain", resolve);
    socket.once("close", () => resolve());
  });
}

/** Undefined, or what went wrong with a call on a connection of its own. */
function honestCall(path: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const method = Buffer.from("informer.List");
    let answer = "";
    const timer = setTimeout(() => end("was not answered in time"), ANSWER_LIMIT_MS);
    const end = (problem?: string) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(problem);
    };
    socket.on("error", (error) => end(`could not call: ${error.message}`));
    socket.on("data", (chunk) => {
      answer += chunk.toString("latin1");
      if (answer.endsWith('["http"]') || answer.endsWith('["http"]\n')) end();
    });
    socket.on("connect", () => socket.write(encodeFrame(FLAG.JSON, 0, [7, method.length], method, Buffer.from('"x"'))));
  });
}
