import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { createServer as createHttpsServer, type Server } from "node:https";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { CertificateKeeper } from "../../src/acme/certificate-keeper.ts";
import type { RetryTiming } from "../../src/acme/retry.ts";
import type { AcmeOptions } from "../../src/config/options.ts";
import { EventLog } from "../../src/events/event-log.ts";
import { makeCertificate, noOpenssl } from "../support/certificates.ts";
import { eventually, within } from "../support/eventually.ts";
import { memoryLog } from "../support/memory-log.ts";
import { freePort, noPebble, Pebble } from "../support/pebble.ts";
import { skip } from "../support/php.ts";

const QUICK: RetryTiming = { firstMs: 300, longestMs: 1_000, failuresMax: 100, windowMs: 60_000 };

describe("CertificateKeeper", function () {
  this.timeout(40_000);
  let directory: string;
  const keepers: CertificateKeeper[] = [];

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "rr-keeper-"));
  });

  afterEach(async () => {
    await Promise.all(keepers.splice(0).map((keeper) => keeper.close()));
    rmSync(directory, { recursive: true, force: true });
  });

  /** One that answers challenges on an address of its own alone. */
  async function keep(options: Partial<AcmeOptions>, timing: RetryTiming = QUICK) {
    const events = new EventLog(100);
    const { log, lines } = memoryLog();
    const all: AcmeOptions = {
      email: "admin@example.com",
      domains: ["example.com"],
      cacheDirectory: join(directory, "acme"),
      challenge: "http-01",
      challengeAddress: undefined,
      answeredByFrontends: false,
      directoryUrl: "https://127.0.0.1:1/dir",
      directoryCaFile: undefined,
      ...options,
    };
    const keeper = new CertificateKeeper(all, { events, log, timing });
    keepers.push(keeper);
    await keeper.prepare();
    keeper.start();
    const happened = (type: string, times = 1) =>
      eventually(
        `${type} was recorded ${times} times`,
        () => {
          const found = events.all().filter((event) => event.type === type);
          return found.length >= times && found;
        },
        15_000,
      );
    return { keeper, events, lines, happened };
  }

  describe("with pebble", () => {
    let pebble: Pebble;
    let httpPort: number;

    before(async function () {
      const reason = noPebble();
      if (reason !== undefined) return skip(this, reason);
      httpPort = await freePort();
      pebble = await Pebble.start({ httpPort, tlsPort: await freePort(), reusePercent: 100 });
    });

    after(() => pebble?.stop());

    const options = (): Partial<AcmeOptions> => ({
      directoryUrl: pebble.directoryUrl,
      directoryCaFile: pebble.caFile,
      challengeAddress: { kind: "tcp", host: "127.0.0.1", port: httpPort },
    });

    it("tries again until it works, and forgets the failures then", async () => {
      const occupant = createServer();
      await new Promise<void>((resolve) => occupant.listen(httpPort, "127.0.0.1", resolve));
      const { happened } = await keep(options());
      const failures = await happened("certificate.failed", 2);
      expect(failures[0]).to.deep.include({ reason: "FAILED_PRECONDITION" });
      expect(failures[0]!.message).to.contain(`127.0.0.1:${httpPort}`).and.to.contain("http.ssl.acme.alt_http_port");
      expect(failures.map(({ attributes }) => attributes.attempt)).to.include.members(["1", "2"]);
      await new Promise((resolve) => occupant.close(resolve));
      await happened("certificate.ordered");
      expect(readdirSync(join(directory, "acme")).sort()).to.deep.equal([
        "account.key",
        "certificate.crt",
        "certificate.json",
        "certificate.key",
        "challenges",
      ]);
      expect(readdirSync(join(directory, "acme/challenges"))).to.deep.equal([]);
    });

    it("orders another certificate when the names are others, and none when all is well", async () => {
      const first = await keep(options());
      await first.happened("certificate.ordered");
      await first.keeper.close();
      const second = await keep({ ...options(), domains: ["example.com", "www.example.com"] });
      const [event] = await second.happened("certificate.ordered");
      expect(event!.attributes.why).to.equal("other-domains");
      await second.keeper.close();
      const orders = pebble.orders;
      const third = await keep({ ...options(), domains: ["example.com", "www.example.com"] });
      await third.keeper.close();
      expect(third.events.all()).to.deep.equal([]);
      expect(pebble.orders).to.equal(orders);
    });

    it("orders another certificate when the authority is another, and keeps the one there is until it has it", async () => {
      const first = await keep(options());
      await first.happened("certificate.ordered");
      await first.keeper.close();
      const other = await keep({ ...options(), directoryUrl: "https://127.0.0.1:1/dir" });
      const [failure] = await other.happened("certificate.failed");
      expect(failure!.message).to.match(/the one in use is valid until 2\d{3}-/);
      await other.keeper.close();
      const directoryUrl = pebble.directoryUrl.replace("127.0.0.1", "localhost");
      const second = await keep({ ...options(), directoryUrl });
      const [event] = await second.happened("certificate.ordered");
      expect(event!.attributes.why).to.equal("other-authority");
    });

    it("holds back what failed too often, in the next server too", async () => {
      const timing = { ...QUICK, failuresMax: 2 };
      const nobody = { ...options(), challengeAddress: undefined, answeredByFrontends: true };
      const first = await keep(nobody, timing);
      await first.happened("certificate.failed", 2);
      await first.keeper.close();
      const orders = pebble.orders;
      const second = await keep(nobody, timing);
      await eventually("the order was held back", () =>
        second.lines.some(({ fields }) => fields.event === "certificate.held_back"),
      );
      await second.keeper.close();
      expect(pebble.orders).to.equal(orders);
      expect(second.events.all()).to.deep.equal([]);
    });

    it("says so when nobody trusts the authority's own address", async () => {
      const { happened, lines } = await keep({ ...options(), directoryCaFile: undefined });
      const [event] = await happened("certificate.failed");

      expect(event!.message).to.contain("itself is not trusted").and.to.contain("http.ssl.acme.directory_ca");
      const down = await keep({ answeredByFrontends: true });
      expect((await down.happened("certificate.failed"))[0]!.message).to.contain("127.0.0.1:1 does not answer: ");
      expect(JSON.stringify(lines)).not.to.contain("PRIVATE KEY");
    });
  });

  it("waits as long as the authority asks", async function () {
    const reason = noOpenssl();
    if (reason !== undefined) return skip(this, reason);
    const own = makeCertificate(directory, "own");
    const server: Server = createHttpsServer({ key: own.key, cert: own.cert }, (_request, response) => {
      response.writeHead(429, { "Retry-After": "7200", "Content-Type": "application/problem+json" });
      response.end('{"type":"urn:ietf:params:acme:error:rateLimited","detail":"too many"}');
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    try {
      const { port } = server.address() as { port: number };
      const directoryUrl = `https://127.0.0.1:${port}/dir`;
      const { happened } = await keep({ directoryUrl, directoryCaFile: own.certFile, answeredByFrontends: true });
      const [event] = await happened("certificate.failed");
      const waitMs = Date.parse(event!.attributes.retry_at!) - Date.now();
      expect(waitMs).to.be.within(7_190_000, 7_200_000);
    } finally {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  });

  it("stops at once, in the middle of a request that nobody answers", async () => {
    const sockets: { destroy(): void }[] = [];
    const silent = createServer((socket) => sockets.push(socket.on("error", () => undefined)));
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    try {
      const { port } = silent.address() as { port: number };
      const { keeper, events } = await keep({ directoryUrl: `https://127.0.0.1:${port}/dir` });
      await eventually("the authority was asked", () => sockets.length > 0);
      await within(2_000, "the keeper stopped", keeper.close());
      expect(events.all()).to.deep.equal([]);
    } finally {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => silent.close(resolve));
    }
  });
});
