import { createPrivateKey, generateKeyPairSync, X509Certificate } from "node:crypto";
import { constants } from "node:fs";
import { access, mkdir, open, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { CHALLENGES } from "../config/acme-folder.ts";
import { certificateProblem } from "../config/certificate.ts";
import { RrError, systemErrorCode } from "../errors.ts";
import type { CertificateFacts, WantedCertificate } from "./certificate-need.ts";
import type { FailureRecord } from "./retry.ts";

/** No order takes as long. */
const ORDER_MS_MAX = 3_600_000;
const DRAFT = /\.\d+\.new$/;

/** The files of `http.ssl.acme.cache_dir`. Keys are for this user alone, and no file is ever seen half written. */
export class CacheFolder {
  readonly directory: string;

  constructor(directory: string) {
    this.directory = directory;
  }

  /** @throws RrError FAILED_PRECONDITION: the folder cannot be made or not be written to */
  async prepare(): Promise<void> {
    try {
      await mkdir(join(this.directory, CHALLENGES), { recursive: true, mode: 0o700 });
      await access(this.directory, constants.W_OK);
      await this.#removeLeftovers();
    } catch (thrown) {
      const message = `${this.directory} cannot be written to: ${(thrown as Error).message}; choose another folder, or give this user the right to write there (http.ssl.acme.cache_dir)`;
      throw new RrError("FAILED_PRECONDITION", message, { cause: thrown });
    }
  }

  /** What a server left behind when it was killed, unless another one may be in the middle of it. */
  async #removeLeftovers(): Promise<void> {
    const folder = join(this.directory, CHALLENGES);
    const drafts = (await readdir(this.directory)).filter((name) => DRAFT.test(name));
    const answers = await readdir(folder);
    for (const path of [
      ...drafts.map((name) => join(this.directory, name)),
      ...answers.map((name) => join(folder, name)),
    ]) {
      const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: Date.now() }));
      if (Date.now() - mtimeMs > ORDER_MS_MAX) await rm(path, { force: true });
    }
  }

  /** PEM; made the first time. */
  async accountKey(): Promise<string> {
    const path = join(this.directory, "account.key");
    const text = await textOf(path);
    if (text === undefined) {
      const made = newKey();
      await writeWhole(path, made);
      return made;
    }
    try {
      createPrivateKey(text);
    } catch {
      const message = `${path} is no private key in PEM form: put the account's key back, or remove the file, and a new account is made`;
      throw new RrError("FAILED_PRECONDITION", message);
    }
    return text;
  }

  /** Undefined: there is none, or it does not fit its key. */
  async certificate(): Promise<CertificateFacts | undefined> {
    const [key, chain] = await Promise.all([textOf(this.#keyFile), textOf(this.#certificateFile)]);
    if (key === undefined || chain === undefined || certificateProblem(chain, key) !== undefined) return undefined;
    const origin = await this.#json<{ directoryUrl: string }>("certificate.json");
    return factsOf(chain, origin?.directoryUrl);
  }

  /** The two files cannot change in one step: who reads sees that they do not fit, and looks again. */
  async storeCertificate(key: string, chain: string, directoryUrl: string): Promise<void> {
    await writeWhole(join(this.directory, "certificate.json"), `${JSON.stringify({ directoryUrl })}\n`);
    const [keyDraft, chainDraft] = await Promise.all([draft(this.#keyFile, key), draft(this.#certificateFile, chain)]);
    await rename(keyDraft, this.#keyFile);
    await rename(chainDraft, this.#certificateFile);
  }

  /** Of the same order; an empty one if there were none. */
  async failures({ directoryUrl, domains }: WantedCertificate): Promise<FailureRecord> {
    const record = await this.#json<FailureRecord>("failures.json");
    const isSame = record?.directoryUrl === directoryUrl && String(record.domains) === String(domains);
    return isSame && Array.isArray(record.failedAtMs)
      ? record
      : { directoryUrl, domains, failedAtMs: [], notBeforeMs: 0 };
  }

  async storeFailures(record: FailureRecord): Promise<void> {
    await writeWhole(join(this.directory, "failures.json"), `${JSON.stringify(record)}\n`);
  }

  async forgetFailures(): Promise<void> {
    await rm(join(this.directory, "failures.json"), { force: true });
  }

  get #keyFile(): string {
    return join(this.directory, "certificate.key");
  }

  get #certificateFile(): string {
    return join(this.directory, "certificate.crt");
  }

  async #json<Value>(name: string): Promise<Value | undefined> {
    try {
      return JSON.parse((await textOf(join(this.directory, name))) ?? "") as Value;
    } catch {
      return undefined;
    }
  }
}

/** A private key on the curve P-256, PEM. */
export function newKey(): string {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
  return privateKey.export({ type: "pkcs8", format: "pem" }) as string;
}

/** Of the first certificate of a chain, PEM. */
export function factsOf(chain: string, directoryUrl: string | undefined): CertificateFacts {
  const { subjectAltName = "", validFrom, validTo } = new X509Certificate(chain);
  return {
    domains: [...subjectAltName.matchAll(/DNS:([^\s,"]+)/g)].map(([, name]) => name!.toLowerCase()),
    validFromMs: Date.parse(validFrom),
    validToMs: Date.parse(validTo),
    directoryUrl,
  };
}

/** Undefined: there is no such file. */
async function textOf(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (thrown) {
    if (systemErrorCode(thrown) === "ENOENT") return undefined;
    throw thrown;
  }
}

export async function writeWhole(path: string, text: string): Promise<void> {
  await rename(await draft(path, text), path);
}

/** Path of a file beside `path` with this text, on the disk for certain. */
async function draft(path: string, text: string): Promise<string> {
  const name = `${path}.${process.pid}.new`;
  await rm(name, { force: true });
  const file = await open(name, "wx", 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  return name;
}
