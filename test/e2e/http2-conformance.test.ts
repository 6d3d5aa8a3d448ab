import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "chai";
import { send } from "../support/http-load.ts";
import { get, Http2Wire } from "../support/http2-wire.ts";
import { needsPhp, ROOT } from "../support/php.ts";
import { ServerProcess, stopServers } from "../support/server-process.ts";
import { CONFORMANCE, type ConformanceCase } from "./http2-conformance.ts";

/** Of a stream that no case uses. */
const LAST_STREAM = 1001;
const LANES = 12;

/** Frames as RFC 9113 wants them and as it does not, to real PHP. */
describe("HTTP/2 by the RFC", function () {
  this.timeout(60_000);
  let server: ServerProcess;
  let pids: number[];

  const outcomes = new Map<ConformanceCase, string | number>();

  before(async function () {
    needsPhp(this);
    const http = { max_request_size: 1, http2: { h2c: true, max_concurrent_streams: 2 } };
    server = await ServerProcess.start({ script: "anything.php", http });
    pids = await server.pids();
    // Many wait for the end of a connection: several at a time.
    const waiting = Object.values(CONFORMANCE).flat();
    const lane = async () => {
      for (let one = waiting.shift(); one !== undefined; one = waiting.shift()) outcomes.set(one, await outcomeOf(one));
    };
    await Promise.all(Array.from({ length: LANES }, lane));
  });
  after(stopServers);

  async function outcomeOf({ sends, outcome, stream, first }: ConformanceCase): Promise<string | number> {
    const wire = new Http2Wire(server.httpPort, first);
    try {
      for (const part of sends)
        if (part === "answered") await wire.until(() => wire.ended(stream));
        else if (part === "settled") await wire.ping();
        else wire.write(part);
      if (typeof outcome === "number") await wire.until(() => wire.ended(stream) || wire.resetOf(stream) !== undefined);
      if (!/^con|^closed/.test(String(outcome)) && (await wire.ping())) {
        // The connection goes on if it serves another request.
        wire.write(get(LAST_STREAM));
        await wire.until(() => wire.ended(LAST_STREAM) || wire.resetOf(LAST_STREAM) === "REFUSED_STREAM");
      } else await wire.until(() => wire.closed);
      if (wire.closed)
        return wire.goaway === undefined || outcome === "closed" ? "closed" : `connection ${wire.goaway}`;
      if (wire.goaway !== undefined) return `GOAWAY ${wire.goaway}, and open`;
      const reset = wire.resetOf(stream);
      if (reset !== undefined) return `stream ${reset}`;
      if (typeof outcome !== "number") return "goes on";
      return wire.ended(stream) ? (wire.statusOf(stream) ?? "no status") : "no answer";
    } finally {
      wire.destroy();
    }
  }

  for (const [section, cases] of Object.entries(CONFORMANCE))
    describe(section, () => {
      for (const one of cases)
        it(`${one.name}: ${one.outcome}${one.asked ? ` (the RFC: ${one.asked})` : ""}`, () => {
          expect([one.outcome, one.newer]).to.include(outcomes.get(one));
        });
    });

  it("docs/http2.md lists what differs from the RFC", () => {
    const expected = Object.entries(CONFORMANCE).flatMap(([section, cases]) =>
      cases.flatMap(({ name, asked, outcome, newer }) => {
        const later = newer === undefined ? "" : `; from Node 22 on: ${newer}`;
        return asked === undefined ? [] : [`| ${section} | ${name} | ${asked} | ${outcome}${later} |`];
      }),
    );
    const rows = readFileSync(join(ROOT, "docs/http2.md"), "utf8").split("\n");
    expect(rows.filter((row) => /^\| (\d|HPACK)/.test(row))).to.deep.equal(expected);
  });

  it("leaves a server that serves, with all its workers and without an open request", async () => {
    expect(await send(`${server.httpUrl}/alive`)).to.include({ status: 200 });
    await server.whole();
    expect((await server.client.stats.getStats({})).stats!.callsOpen).to.equal(0);
    expect(await server.pids()).to.have.members(pids);
    expect(server.log.filter(({ level, event }) => level === "error" || event === "frontend.exited")).to.deep.equal([]);
  });
});
