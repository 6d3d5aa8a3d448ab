import { readFileSync } from "node:fs";
import { createSecureContext, type SecureContextOptions } from "node:tls";
import { ServerCredentials } from "@grpc/grpc-js";
import { every } from "../async/every.ts";
import { certificateProblem } from "../config/certificate.ts";
import type { ControlTlsOptions } from "../config/options.ts";
import { RrError } from "../errors.ts";
import type { Log } from "../log.ts";

const LOOK_EVERY_MS = 5_000;

/**
 * The files of control.tls as gRPC wants them: loaded at the start, and again when they change. Certificates of callers
 * are asked for and not insisted on: a token does as well.
 */
export class ControlCredentials extends ServerCredentials {
  readonly #options: ControlTlsOptions;
  #texts: string;

  private constructor(options: ControlTlsOptions, { texts, context }: Material) {
    const requestCert = options.clientCaFile !== undefined;
    super({ requestCert, rejectUnauthorized: false, minVersion: "TLSv1.2", ...context }, context);
    this.#options = options;
    this.#texts = texts;
  }

  /** Throws CONFIG_INVALID: the files are not what they should be. */
  static open(options: ControlTlsOptions, signal: AbortSignal, log: Log): ControlCredentials {
    const credentials = new ControlCredentials(options, readMaterial(options));
    const failed = (thrown: unknown) =>
      log.error(
        { event: "control.tls" },
        `the new certificate of control.tls is not taken: ${(thrown as Error).message}`,
      );
    every(LOOK_EVERY_MS, signal, () => credentials.#refresh(log), failed);
    return credentials;
  }

  #refresh(log: Log): void {
    const { texts, context } = readMaterial(this.#options);
    if (texts === this.#texts) return;
    this.#texts = texts;
    this.updateSecureContextOptions(context);
    log.info({ event: "control.tls" }, "the certificate of control.tls was loaded again");
  }

  override _equals(other: ServerCredentials): boolean {
    return this === other;
  }
}

interface Material {
  /** Of all files, to tell whether they have changed. */
  readonly texts: string;
  readonly context: SecureContextOptions;
}

function readMaterial({ certFile, keyFile, clientCaFile }: ControlTlsOptions): Material {
  const [cert, key, ca] = [certFile, keyFile, clientCaFile].map((file) => file && readFileSync(file, "utf8"));
  const problem = certificateProblem(cert!, key!);
  if (problem !== undefined)
    throw new RrError(
      "CONFIG_INVALID",
      `control.tls.${problem.file}: ${problem.file === "key" ? keyFile : certFile} ${problem.text}`,
    );
  const context: SecureContextOptions = { cert: cert!, key: key!, ...(ca === undefined ? {} : { ca }) };
  createSecureContext(context);
  return { texts: JSON.stringify([cert, key, ca]), context };
}
