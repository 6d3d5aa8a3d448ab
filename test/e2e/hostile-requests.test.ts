import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { within } from "../support/eventually.ts";
import { send } from "../support/http-load.ts";
import { needsPhp } from "../support/php.ts";
import { RawConnection } from "../support/raw-connection.ts";
import { ServerProcess, stopServers } from "../support/server-process.ts";
import { GROUPS, type HostileRequest } from "./hostile-requests.ts";

/** A connection that stays open is cut by the test; the server's own limits are longer. */
const LIMIT_MS = 5_000;

/** Bytes that no honest client sends, to real PHP behind the static middleware. */
describe("Hostile requests", function () {
  this.timeout(30_000);
  let directory: string;
  let server: ServerProcess;
  let pids: number[];

  before(async function () {
    needsPhp(this);
    directory = mkdtempSync(join(tmpdir(), "rr-hostile-"));
    mkdirSync(join(directory, "public/folder"), { recursive: true });
    writeFileSync(join(directory, "public/style.css"), "body {}");
    writeFileSync(join(directory, "secret.txt"), "the secret");
    server = await ServerProcess.start({
      script: "anything.php",
      http: { max_request_size: 1, middleware: ["static"], static: { dir: join(directory, "public") } },
      pool: { num_workers: 2 },
    });
    pids = await server.pids();
  });

  after(async () => {
    await stopServers();
    if (directory) rmSync(directory, { recursive: true });
  });

  /** The whole conversation: what came until the server closed, or until what is expected was there. */
  async function converse({ bytes, closes, statuses, ends }: HostileRequest): Promise<string> {
    const connection = new RawConnection(server.httpPort).write(bytes);
    if (ends) connection.socket.end();
    if (closes) return within(LIMIT_MS, "the server closed the connection", connection.all());
    await within(LIMIT_MS, "all responses came", connection.untilMatch(statusLines, statuses.length));
    // One more request, with an answer that cannot be mistaken: what came before it is all that there was.
    connection.write("GET /last HTTP/1.1\r\nHost: last\r\nConnection: close\r\n\r\n");
    const text = await within(LIMIT_MS, "the last response came", connection.all());
    return text.slice(0, text.lastIndexOf("HTTP/1.1 200"));
  }

  for (const [group, requests] of Object.entries(GROUPS))
    describe(group, () => {
      for (const request of requests)
        it(`${request.name}: ${request.statuses.join(", ") || "nothing"}${request.closes ? ", closed" : ""}`, async () => {
          const before = (await server.pool()).executions;
          const text = await converse(request);
          expect(statusesOf(text), text.slice(0, 2_000)).to.deep.equal(request.statuses);
          expect(text).not.to.contain("the secret");
          if (request.says) expect(text).to.match(request.says);
          const workersAsked = Number((await server.pool()).executions - before) - (request.closes ? 0 : 1);
          expect(workersAsked, "requests that reached PHP").to.equal(text.split("php saw ").length - 1);
          const probe = await send(`${server.httpUrl}/alive`);
          expect(probe).to.deep.include({ status: 200, body: `php saw GET ${server.httpUrl}/alive 0` });
        });
    });

  it("have harmed no worker and no frontend", async () => {
    expect(await server.pids()).to.have.members(pids);
    expect(server.log.filter(({ level, event }) => level === "error" || event === "frontend.exited")).to.deep.equal([]);
  });
});

/** Bodies end without a line break. */
const statusLines = /HTTP\/1\.1 \d{3}/g;

function statusesOf(text: string): number[] {
  return [...text.matchAll(statusLines)].map(([line]) => Number(line.slice(-3)));
}
