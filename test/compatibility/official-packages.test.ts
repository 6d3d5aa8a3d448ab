import { join } from "node:path";
import { expect } from "chai";
import { eventually } from "../support/eventually.ts";
import { needsPhp, skip } from "../support/php.ts";
import { ServerProcess, stopServers } from "../support/server-process.ts";
import { installedVersions, installSet, PACKAGE_SETS } from "./official-packages.ts";

/** Workers of RoadRunner's own PHP packages, unchanged, on every relay. */
describe("official PHP packages", function () {
  this.timeout(120_000);

  for (const set of PACKAGE_SETS)
    describe(set.name, () => {
      let directory: string;

      before(function () {
        needsPhp(this);
        const installed = installSet(set);
        if ("unavailable" in installed) return skip(this, installed.unavailable);
        directory = installed.directory;
        console.log(`    ${installedVersions(directory)}`);
      });

      for (const relay of ["pipes", "unix://rr.sock", "tcp://127.0.0.1:0"])
        describe(`on ${relay.replace(/:.*/, "")}`, () => {
          let server: ServerProcess;

          before(async () => {
            const address = relay.startsWith("tcp") ? `tcp://127.0.0.1:${await freePort()}` : relay;
            server = await ServerProcess.start({ command: ["php", join(directory, "psr-worker.php")], relay: address });
          });
          after(stopServers);

          it("answers a GET with query, cookies and repeated headers", async () => {
            const response = await fetch(`${server.httpUrl}/path?a=1&b[]=x&b[]=y`, {
              headers: [
                ["Cookie", "one=1; two=a%20b"],
                ["X-Multi", "p"],
                ["X-Multi", "q"],
              ],
            });
            expect(response.status).to.equal(201);
            expect(response.headers.get("x-two")).to.equal("a, b");
            const seen = (await response.json()) as Record<string, unknown>;
            expect(seen).to.include({ method: "GET", address: "127.0.0.1" });
            expect(decodeURIComponent(String(seen.uri))).to.equal(`${server.httpUrl}/path?a=1&b[]=x&b[]=y`);
            expect(seen.query).to.deep.equal({ a: "1", b: ["x", "y"] });
            expect(seen.cookies).to.deep.equal({ one: "1", two: "a b" });
          });

          it("gives a form as a tree", async () => {
            const response = await fetch(`${server.httpUrl}/`, {
              method: "POST",
              body: new URLSearchParams("a=1&b[c]=2&d[]=3&d[]=4"),
            });
            const seen = (await response.json()) as Record<string, unknown>;
            expect(seen.parsed).to.deep.equal({ a: "1", b: { c: "2" }, d: ["3", "4"] });
          });

          it("gives an empty form as an empty tree", async () => {
            const response = await fetch(`${server.httpUrl}/`, { method: "POST", body: new URLSearchParams("") });
            expect(response.status).to.equal(201);
          });

          it("gives any other body as it came", async () => {
            const body = JSON.stringify({ key: "välue" });
            const response = await fetch(`${server.httpUrl}/`, {
              method: "PUT",
              body,
              headers: { "Content-Type": "application/json" },
            });
            expect(((await response.json()) as { body: string }).body).to.equal(body);
          });

          it("streams a body that the worker sends in chunks", async () => {
            const response = await fetch(`${server.httpUrl}/chunks`);
            expect(await response.text()).to.equal("0123456789".repeat(10));
          });

          it("reports an error that follows an answer, and goes on", async () => {
            const response = await fetch(`${server.httpUrl}/error`);
            expect(response.status).to.equal(500);
            expect(await response.text()).to.equal("Something Went Wrong!");
            await eventually(
              "the surplus error was reported",
              async () => (await server.events("worker.surplus_answer")).length > 0,
            );
            expect((await fetch(`${server.httpUrl}/after`)).status).to.equal(201);
          });

          it("serves under load while it is reset", async () => {
            const pids = await server.pids();
            const requests = Array.from({ length: 200 }, async () => (await fetch(`${server.httpUrl}/load`)).status);
            await server.client.pools.resetPool({ pool: "http" });
            expect(new Set(await Promise.all(requests))).to.deep.equal(new Set([201]));
            expect(await server.pids()).to.not.have.any.members(pids);
          });
        });
    });
});

async function freePort(): Promise<number> {
  const { createServer } = await import("node:net");
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}
