import { createHash, randomBytes, randomUUID } from "node:crypto";
import { Agent, type IncomingMessage, request } from "node:http";
import { MULTIPART, multipart } from "../support/multipart.ts";

/** What came of the requests of one storm. */
export interface LoadFigures {
  answered: number;
  /** GETs that were broken off and repeated, as browsers and proxies do. */
  repeated: number;
  /** GETs that failed for good: answered with an error, or broken off too often. */
  failedIdempotent: number;
  /** Others that failed: nobody may repeat them, so a process that dies takes them along. */
  failedOther: number;
  /** Uploads that PHP was told could not be stored. */
  notStored: number;
  /** Answers of somebody else, or changed ones. Never. */
  wrong: number;
  /** Longest wait for an answer, repetitions included, in milliseconds. */
  longestMs: number;
  /** The first failures, in words. */
  readonly notes: string[];
}

const NOTES_MAX = 10;
/** How often a GET is tried in all. */
const ATTEMPTS_MAX = 4;
const REPEAT_AFTER_MS = 100;
/** A request that takes longer is stuck. */
const REQUEST_LIMIT_MS = 30_000;
const STORED_BYTES = 200_000;

interface Answer {
  status: number;
  token: string | undefined;
  body: Buffer;
}

interface Planned {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly headers?: Record<string, string>;
  readonly body?: Buffer;
  /** What the answer must be, byte for byte. */
  readonly expected: string;
  /** The client takes its time with the answer. */
  readonly slow?: boolean;
}

const md5 = (bytes: Buffer) => createHash("md5").update(bytes).digest("hex");
const upTo = (most: number) => Math.floor(Math.random() * (most + 1));

/** The requests of a storm, the first of them most often. */
function plan(token: string): Planned {
  const kind = upTo(19);
  if (kind < 10) return page(token, upTo(20_000));
  if (kind < 12) return { ...page(token, upTo(1_000_000)), slow: kind === 10 };
  if (kind < 14) return stream(token, 1 + upTo(50));
  if (kind < 17) return body(token, randomBytes(upTo(kind === 16 ? 1_000_000 : 10_000)));
  return upload(token);
}

function page(token: string, bytes: number): Planned {
  const length = Math.max(bytes, token.length + 1);
  const expected = `${token}\n`.repeat(Math.ceil(length / (token.length + 1))).slice(0, length);
  return { method: "GET", path: `/page?token=${token}&bytes=${bytes}`, expected };
}

function stream(token: string, pieces: number): Planned {
  const expected = Array.from({ length: pieces }, (_, index) => `${token} ${index + 1}\n`).join("");
  return { method: "GET", path: `/stream?token=${token}&pieces=${pieces}`, expected };
}

function body(token: string, bytes: Buffer): Planned {
  const expected = `${token} ${bytes.length} ${md5(bytes)}`;
  return { method: "POST", path: `/body?token=${token}`, body: bytes, expected };
}

function upload(token: string): Planned {
  const [one, two] = [randomBytes(upTo(STORED_BYTES)), randomBytes(upTo(1000))];
  return {
    method: "POST",
    path: `/upload?token=${token}`,
    headers: { "Content-Type": MULTIPART },
    body: multipart(
      { name: "one", fileName: "one.bin", content: one },
      { name: "two", fileName: "two.bin", content: two },
    ),
    expected: `${token} one ${md5(one)}, two ${md5(two)}`,
  };
}

/** So many clients that ask and check what they get, until told to end. */
export class StormLoad {
  readonly figures: LoadFigures = {
    answered: 0,
    repeated: 0,
    failedIdempotent: 0,
    failedOther: 0,
    notStored: 0,
    wrong: 0,
    longestMs: 0,
    notes: [],
  };
  /** Somebody could be there to answer. While false, what fails is counted apart from failures: not at all. */
  available = true;
  readonly #url: string;
  readonly #agent: Agent;
  readonly #lanes: Promise<void>[];
  #over = false;

  constructor(url: string, connections = 32) {
    this.#url = url;
    this.#agent = new Agent({ keepAlive: true, maxSockets: connections });
    this.#lanes = Array.from({ length: connections }, () => this.#lane());
  }

  async end(): Promise<LoadFigures> {
    this.#over = true;
    await Promise.all(this.#lanes);
    this.#agent.destroy();
    return this.figures;
  }

  note(text: string): void {
    if (this.figures.notes.length < NOTES_MAX) this.figures.notes.push(text);
  }

  async #lane(): Promise<void> {
    while (!this.#over) {
      const token = randomUUID();
      const startedAtMs = performance.now();
      await this.#run(plan(token), token);
      this.figures.longestMs = Math.max(this.figures.longestMs, performance.now() - startedAtMs);
    }
  }

  async #run(planned: Planned, token: string): Promise<void> {
    const { figures } = this;
    for (let attempt = 1; ; attempt++) {
      const wasAvailable = this.available;
      const answer = await ask(this.#url, this.#agent, planned).catch((thrown: Error) => thrown);
      if (!(answer instanceof Error) && answer.status === 200) return this.#check(planned, token, answer);
      const what =
        answer instanceof Error ? answer.message : `${answer.status} ${answer.body.toString().slice(0, 200)}`;
      const broken = answer instanceof Error;
      if (broken && planned.method === "GET" && attempt < ATTEMPTS_MAX) {
        figures.repeated++;
        await new Promise((resolve) => setTimeout(resolve, REPEAT_AFTER_MS * attempt));
        continue;
      }
      if (!wasAvailable || !this.available) return;
      if (planned.method === "GET") figures.failedIdempotent++;
      else figures.failedOther++;
      return this.note(`${planned.method} ${planned.path}: ${what}`);
    }
  }

  #check({ expected, path }: Planned, token: string, answer: Answer): void {
    const text = answer.body.toString("latin1");
    if (text === expected && answer.token === token) this.figures.answered++;
    else if (text.startsWith(`${token} `) && text.includes("error 7")) this.figures.notStored++;
    else {
      this.figures.wrong++;
      this.note(`${path} got ${answer.body.length} bytes of ${answer.token}: ${text.slice(0, 100)}`);
    }
  }
}

function ask(url: string, agent: Agent, { method, path, headers, body: bytes, slow }: Planned): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = request(`${url}${path}`, { method, agent, ...(headers && { headers }) });
    const timer = setTimeout(() => outgoing.destroy(new Error("stuck for 30 s")), REQUEST_LIMIT_MS);
    const end = (settle: () => void) => {
      clearTimeout(timer);
      settle();
    };
    outgoing.on("error", (error) => end(() => reject(error)));
    outgoing.on("response", (incoming) => {
      read(incoming, slow ?? false).then(
        (answer) => end(() => resolve(answer)),
        (error) => end(() => reject(error)),
      );
    });
    outgoing.end(bytes);
  });
}

async function read(incoming: IncomingMessage, slow: boolean): Promise<Answer> {
  const pieces: Buffer[] = [];
  for await (const piece of incoming) {
    pieces.push(piece as Buffer);
    if (slow) await new Promise((resolve) => setTimeout(resolve, 5));
  }
  if (!incoming.complete) throw new Error("the response was cut");
  const token = incoming.headers["x-token"] as string | undefined;
  return { status: incoming.statusCode ?? 0, token, body: Buffer.concat(pieces) };
}
