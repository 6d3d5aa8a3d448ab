import { connect, type Socket } from "node:net";
import { Budget, type Fuzz } from "./fuzzer.ts";
import { mutate, Random } from "./random.ts";
import { FuzzTarget } from "./target.ts";

/** The mark of the connection stands for "@": nobody may be answered with that of another. */
const SEEDS: readonly string[] = [
  "GET /?@ HTTP/1.1\r\nHost: h\r\n\r\n",
  "GET /?@ HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
  "HEAD /?@ HTTP/1.1\r\nHost: h\r\n\r\n",
  "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n",
  "GET http://h:80/a/../b?@ HTTP/1.1\r\nHost: h:80\r\n\r\n",
  "\r\nLIST /caf\xc3\xa9?@ HTTP/1.1\r\nhost: h\r\nCookie: a=1+2; b=%41\r\n\r\n",
  "GET /?@ HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n",
  "POST /?@ HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: x\r\nContent-Length: 16\r\n\r\nGET / HTTP/1.1\r\n",
  "POST /?@ HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello",
  "POST /?@ HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nA: b\r\n\r\n",
  "PUT /?@ HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nok",
  "POST /?@ HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 13\r\n\r\na[b]=1&c[]=%2",
  'POST /?@ HTTP/1.1\r\nHost: h\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 60\r\n\r\n--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--b--\r\n',
  "GET /?@ HTTP/1.1\r\nHost: h\r\nRange: bytes=0-1\r\nAccept-Encoding: gzip;q=0.5, br\r\nX-Forwarded-For: 1.2.3.4, ::1\r\n\r\n",
  "GET /1?@ HTTP/1.1\r\nHost: h\r\n\r\nGET /2?@ HTTP/1.1\r\nHost: h\r\n\r\nDELETE /3?@ HTTP/1.1\r\nHost: h\r\n\r\n",
  "GET /?@ RTSP/1.0\r\nHost: h\r\n\r\n",
  "CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n",
  "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
];
const CONNECTIONS = 16;
/** Inputs of one connection. Most end it, and what comes after that is not read. */
const PER_CONNECTION_MAX = 5;
const LONG_BYTES = 70_000;

/** One input: a seed, most often changed, and now and then longer than may be. */
function input(random: Random, mark: string): Buffer {
  const seed = Buffer.from(random.pick(SEEDS).replaceAll("@", mark), "latin1");
  if (random.oneIn(8)) return seed;
  const changed = mutate(seed, random);
  if (!random.oneIn(500)) return changed;
  const at = random.below(changed.length + 1);
  const filler = Buffer.alloc(LONG_BYTES, random.pick(["a", "a: b\r\n", "\r\n", "0", ";", "a=b; ", "\xff"]), "latin1");
  return Buffer.concat([changed.subarray(0, at), filler, changed.subarray(at)]);
}

/** What may arrive where HTTP/1 is spoken: requests that are changed a little or a lot, one behind the other, in pieces. */
export const fuzz: Fuzz = async (options) => {
  const budget = new Budget(options);
  const random = new Random(options.seed);
  const target = await FuzzTarget.start(budget, {
    script: "query.php",
    http: { header_timeout: "2s", body_idle_timeout: "2s", keep_alive_timeout: "2s" },
  });
  const counts = { connections: 0, answers_200: 0, answers_400: 0, answers_other: 0 };
  const strangers = Array.from({ length: CONNECTIONS }, async () => {
    while (budget.left) {
      const mark = `m${counts.connections++}m`;
      const { sent, text } = await stranger(target.server.httpPort, random, budget, mark);
      for (const [status] of text.matchAll(/HTTP\/1\.1 \d{3}/g)) {
        if (status.endsWith("200")) counts.answers_200++;
        else if (status.endsWith("400")) counts.answers_400++;
        else counts.answers_other++;
      }
      const problem = problemOf(text, mark, sent);
      if (problem)
        target.found(`seed ${options.seed}: ${problem} after ${Buffer.concat(sent).toString("hex").slice(0, 4_000)}`);
    }
  });
  await Promise.all(strangers);
  const { findings, figures } = await target.end();
  return { inputs: budget.used, seconds: budget.seconds, findings, figures: { ...counts, ...figures } };
};

/** What no answer may have: marks of others, and failures of the server. */
function problemOf(text: string, mark: string, sent: readonly Buffer[]): string | undefined {
  const said = Buffer.concat(sent).toString("latin1");
  for (const [found] of text.matchAll(/m\d+m/g))
    if (found !== mark && !said.includes(found)) return `a connection got ${found}, which it has not said`;
  return /HTTP\/1\.1 5(?!05|01)\d\d/.exec(text)?.[0];
}

interface Conversation {
  readonly sent: Buffer[];
  readonly text: string;
}

/** One connection with inputs until it is closed or has had enough. */
function stranger(port: number, random: Random, budget: Budget, mark: string): Promise<Conversation> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true });
    const sent: Buffer[] = [];
    let text = "";
    let closed = false;
    socket.setEncoding("latin1");
    socket.on("data", (data: string) => {
      text += data;
    });
    socket.on("error", () => {});
    socket.on("close", () => {
      closed = true;
      resolve({ sent, text });
    });
    socket.on("connect", async () => {
      for (let inputs = 1 + random.below(PER_CONNECTION_MAX); inputs > 0 && !closed && budget.left; inputs--) {
        const bytes = input(random, mark);
        budget.spend();
        sent.push(bytes);
        for (const piece of piecesOf(bytes, random)) {
          if (closed) break;
          if (!socket.write(piece)) await drained(socket);
          if (random.oneIn(4)) await new Promise((next) => setImmediate(next));
        }
      }
      // Whatever is half said stays so: the server has to live with it until this side leaves.
      if (random.oneIn(3)) socket.end();
      setTimeout(() => socket.destroy(), random.below(30));
    });
  });
}

/** Most often the whole, or cut anywhere. */
function piecesOf(bytes: Buffer, random: Random): Buffer[] {
  if (!random.oneIn(4)) return [bytes];
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = at + 1 + random.below(bytes.length);
    pieces.push(bytes.subarray(at, end));
    at = end;
  }
  return pieces;
}

function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.once("drain", resolve);
    socket.once("close", () => resolve());
  });
}
