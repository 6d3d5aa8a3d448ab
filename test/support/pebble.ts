import { type ChildProcess, execFileSync, type StdioOptions, spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:https";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { type Certificate, makeCertificate, noOpenssl } from "./certificates.ts";
import { eventually } from "./eventually.ts";

/** Why there is no authority here; undefined: there is one. */
export function noPebble(): string | undefined {
  try {
    execFileSync("pebble", ["-h"], { stdio: "ignore" });
    return noOpenssl();
  } catch (thrown) {
    // It says how it is used and ends with 2.
    if ((thrown as { code?: string }).code !== "ENOENT") return noOpenssl();
    return "pebble is not installed: it is the ACME authority of these tests";
  }
}

export interface PebbleOptions {
  /** Ports at which it asks what it would ask at 80 and 443. */
  readonly httpPort: number;
  readonly tlsPort: number;
  readonly validitySeconds?: number;
  /** How often a name that was checked need not be checked again. */
  readonly reusePercent?: number;
}

const given = new Set<number>();

/**
 * A port for a program that cannot choose one itself: below those that systems give out, so that nobody gets it by
 * chance before that program is there.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(15_000, 30_000);
    const server = createServer();
    const free = await new Promise<boolean>((resolve) => {
      server.once("error", () => resolve(false));
      server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
    });
    if (!free || given.has(port)) continue;
    given.add(port);
    return port;
  }
}

/** Let's Encrypt's small authority for tests: asks and signs like a large one, and is believed by nobody. */
export class Pebble {
  readonly directoryUrl: string;
  /** What its own address is checked against. */
  readonly caFile: string;
  readonly output: string[] = [];
  readonly #own: Certificate;
  readonly #managementPort: number;
  readonly #directory: string;
  readonly #children: readonly ChildProcess[];

  private constructor(directory: string, own: Certificate, ports: [number, number], children: ChildProcess[]) {
    this.#directory = directory;
    this.#own = own;
    this.caFile = own.certFile;
    this.directoryUrl = `https://127.0.0.1:${ports[0]}/dir`;
    this.#managementPort = ports[1];
    this.#children = children;
    for (const stream of children.flatMap(({ stdout, stderr }) => [stdout!, stderr!]))
      createInterface({ input: stream }).on("line", (line) => this.output.push(line));
  }

  static async start({
    httpPort,
    tlsPort,
    validitySeconds = 86_400,
    reusePercent = 0,
  }: PebbleOptions): Promise<Pebble> {
    const directory = mkdtempSync(join(tmpdir(), "rr-pebble-"));
    const own = makeCertificate(directory, "pebble");
    const ports: [number, number] = [await freePort(), await freePort()];
    const config = {
      listenAddress: `127.0.0.1:${ports[0]}`,
      managementListenAddress: `127.0.0.1:${ports[1]}`,
      certificate: own.certFile,
      privateKey: own.keyFile,
      httpPort,
      tlsPort,
      ocspResponderURL: "",
      externalAccountBindingRequired: false,
      certificateValidityPeriod: validitySeconds,
    };
    const file = join(directory, "pebble.json");
    writeFileSync(file, JSON.stringify({ pebble: config }));
    const env = { ...process.env, PEBBLE_VA_NOSLEEP: "1", PEBBLE_AUTHZREUSE: String(reusePercent) };
    const names = `127.0.0.1:${await freePort()}`;
    // Every name is this machine for it.
    const off = ["-http01", "", "-https01", "", "-tlsalpn01", ""];
    const nameServer = ["-dns01", names, "-management", `127.0.0.1:${await freePort()}`, "-defaultIPv6", "", ...off];
    const stdio: StdioOptions = ["ignore", "pipe", "pipe"];
    const resolver = spawn("pebble-challtestsrv", nameServer, { stdio });
    const child = spawn("pebble", ["-config", file, "-dnsserver", names], { env, stdio });
    const pebble = new Pebble(directory, own, ports, [child, resolver]);
    await eventually("pebble listened", () => {
      if (child.exitCode !== null) throw new Error(`pebble ended:\n${pebble.output.join("\n")}`);
      return ["ACME directory available", "Starting challenge servers"].every((text) =>
        pebble.output.some((line) => line.includes(text)),
      );
    });
    return pebble;
  }

  /** The certificate that those it signs lead to, PEM; another one each time it starts. */
  root(): Promise<string> {
    return new Promise((resolve, reject) => {
      const url = `https://127.0.0.1:${this.#managementPort}/roots/0`;
      const outgoing = request(url, { ca: this.#own.cert, agent: false }, (incoming) => {
        let text = "";
        incoming.on("data", (piece) => (text += piece));
        incoming.on("end", () => resolve(text));
      });
      outgoing.on("error", reject);
      outgoing.end();
    });
  }

  /** How many orders it was given. */
  get orders(): number {
    return this.output.filter((line) => line.includes("orders in the db")).length;
  }

  async stop(): Promise<void> {
    await Promise.all(
      this.#children.map((child) => {
        const closed = new Promise((resolve) => child.once("close", resolve));
        child.kill("SIGKILL");
        return closed;
      }),
    );
    rmSync(this.#directory, { recursive: true, force: true });
  }
}
