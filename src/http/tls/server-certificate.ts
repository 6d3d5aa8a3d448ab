import { createHash } from "node:crypto";
import { type FSWatcher, watch } from "node:fs";
import { dirname } from "node:path";
import { createSecureContext, type SecureContextOptions } from "node:tls";
import { certificateProblem } from "../../config/certificate.ts";
import type { AcmeOptions, TlsOptions } from "../../config/options.ts";
import { readTextFile } from "../../config/read-file.ts";
import { RrError, systemErrorCode } from "../../errors.ts";
import type { Log } from "../../log.ts";

/** Key and certificate are seldom written at the same moment: what is read in between does not fit together. */
const SETTLE_MS = 200;
/** For file systems that tell of no changes. */
const POLL_MS = 5_000;

type Material = Pick<SecureContextOptions, "key" | "cert" | "ca">;

/** The files of a TLS listener: loaded at the start, and again whenever they change. What is broken is not taken. */
export class ServerCertificate {
  readonly clientAuth: TlsOptions["clientAuth"];
  readonly #options: TlsOptions;
  readonly #log: Log;
  readonly #listeners: ((material: Material) => void)[] = [];
  readonly #watchers: FSWatcher[] = [];
  readonly #poll: NodeJS.Timeout;
  #material: Material = {};
  /** Of what was tried last, good or bad: it is not tried, nor complained of, twice. */
  #triedHash = "";
  #settling: NodeJS.Timeout | undefined;

  /**
   * @throws RrError CONFIG_INVALID: the files do not make a certificate. Where ACME will write them they may be missing.
   */
  constructor(options: TlsOptions, log: Log) {
    this.#options = options;
    this.#log = log;
    this.clientAuth = options.clientAuth;
    const read = this.#read();
    if ("problem" in read) {
      if (options.acme === undefined) throw new RrError("CONFIG_INVALID", `http.ssl: ${read.problem}`);
      log.warn({ event: "tls.no_certificate" }, "There is no certificate yet: TLS connections fail until ACME has one");
    } else this.#material = read.material;
    for (const directory of new Set(this.#files.map(dirname))) this.#watch(directory);
    this.#poll = setInterval(() => this.#reload(), POLL_MS).unref();
  }

  get acme(): AcmeOptions | undefined {
    return this.#options.acme;
  }

  /** What TLS contexts are made of. */
  get material(): Material {
    return this.#material;
  }

  onChange(listener: (material: Material) => void): void {
    this.#listeners.push(listener);
  }

  close(): void {
    clearTimeout(this.#settling);
    clearInterval(this.#poll);
    for (const watcher of this.#watchers) watcher.close();
  }

  get #files(): string[] {
    const { keyFile, certFile, clientCaFile } = this.#options;
    return clientCaFile === undefined ? [keyFile, certFile] : [keyFile, certFile, clientCaFile];
  }

  /** The directory, not the file: files are replaced by new ones, and links point elsewhere. */
  #watch(directory: string): void {
    try {
      const watcher = watch(directory, { persistent: false }, () => {
        clearTimeout(this.#settling);
        this.#settling = setTimeout(() => this.#reload(), SETTLE_MS);
      });
      watcher.on("error", () => watcher.close());
      this.#watchers.push(watcher);
    } catch (thrown) {
      this.#log.debug({ event: "tls.not_watched", directory, code: systemErrorCode(thrown) }, "looked at by time only");
    }
  }

  #reload(): void {
    const before = this.#triedHash;
    const read = this.#read();
    if (this.#triedHash === before) return;
    if ("problem" in read) {
      const message = `The new certificate is not taken, the one before stays: ${read.problem}`;
      this.#log.error({ event: "tls.reload_failed" }, message);
      return;
    }
    this.#material = read.material;
    for (const listener of this.#listeners) listener(read.material);
    this.#log.info({ event: "tls.reloaded", file: this.#options.certFile }, "The TLS certificate was loaded again");
  }

  #read(): { material: Material } | { problem: string } {
    const { keyFile, certFile, clientCaFile } = this.#options;
    const texts: (string | undefined)[] = [];
    for (const file of [keyFile, certFile, clientCaFile]) {
      const read = file === undefined ? { text: undefined } : readTextFile(file);
      if ("error" in read) {
        this.#triedHash = read.error;
        return { problem: read.error };
      }
      texts.push(read.text);
    }
    this.#triedHash = createHash("sha256").update(JSON.stringify(texts)).digest("hex");
    const [key, cert, ca] = texts;
    const mismatch = certificateProblem(cert!, key!);
    if (mismatch !== undefined) return { problem: `${mismatch.file === "key" ? keyFile : certFile} ${mismatch.text}` };
    const material: Material = { key: key!, cert: cert!, ...(ca === undefined ? {} : { ca }) };
    try {
      createSecureContext(material);
    } catch (thrown) {
      return { problem: `${this.#files.join(", ")}: ${(thrown as Error).message}` };
    }
    return { material };
  }
}
