import { rm } from "node:fs/promises";
import { createServer, type RequestListener } from "node:http";
import type { Server } from "node:net";
import { createSecureContext, createServer as createTlsServer, type SecureContext } from "node:tls";
import { ACME_TLS, alpnFile, isToken, tokenFile } from "../config/acme-folder.ts";
import type { AcmeOptions } from "../config/options.ts";
import { RrError } from "../errors.ts";
import type { Log } from "../log.ts";
import { listenAtHost } from "../net/hosts.ts";
import { listenProblem } from "../net/listen-problem.ts";
import { writeWhole } from "./cache-folder.ts";

const PREFIX = "/.well-known/acme-challenge/";
const REQUEST_TIMEOUT_MS = 10_000;

/**
 * What an authority is shown while an order runs: files in the folder, for the frontends, and the same on an address of
 * its own where the port that is asked is none of the frontends'. After `close` nothing is left of it.
 */
export class ChallengeAnswers {
  readonly #options: AcmeOptions;
  readonly #log: Log;
  readonly #files: string[] = [];
  readonly #byToken = new Map<string, string>();
  readonly #byDomain = new Map<string, SecureContext>();
  #server: Server | undefined;

  constructor(options: AcmeOptions, log: Log) {
    this.#options = options;
    this.#log = log;
  }

  /** @throws RrError FAILED_PRECONDITION: the address cannot be opened, and no frontend answers either */
  async open(): Promise<void> {
    const { challengeAddress, challenge, answeredByFrontends } = this.#options;
    if (challengeAddress === undefined) return;
    const { host, port } = challengeAddress;
    const server = challenge === "http-01" ? this.#httpServer() : this.#tlsServer();
    try {
      await listenAtHost(host, (address) => listening(server, address, port));
      this.#server = server;
    } catch (thrown) {
      const key = challenge === "http-01" ? "alt_http_port" : "alt_tlsalpn_port";
      const problem = listenProblem({ what: "challenges", key: `http.ssl.acme.${key}` }, challengeAddress, thrown);
      if (!answeredByFrontends) throw problem;
      const served = challenge === "http-01" ? "http.address" : "http.ssl.address";
      this.#log.warn(
        { event: "certificate.no_address" },
        `${problem.message}; those that come to ${served} are answered`,
      );
    }
  }

  /** http-01 (RFC 8555, 8.3). */
  async showText(token: string, keyAuthorization: string): Promise<void> {
    if (!isToken(token))
      throw new RrError("UNAVAILABLE", "the authority sent a token with characters that none may have");
    this.#byToken.set(token, keyAuthorization);
    await this.#write(tokenFile(this.#options.cacheDirectory, token), keyAuthorization);
  }

  /** tls-alpn-01 (RFC 8737). Both PEM. */
  async showCertificate(domain: string, key: string, certificate: string): Promise<void> {
    // It becomes the name of a file.
    if (!this.#options.domains.includes(domain))
      throw new RrError("UNAVAILABLE", `the authority asks for ${JSON.stringify(domain)}, which was not ordered`);
    this.#byDomain.set(domain, createSecureContext({ key, cert: certificate }));
    await this.#write(alpnFile(this.#options.cacheDirectory, domain), `${key.trim()}\n${certificate.trim()}\n`);
  }

  async close(): Promise<void> {
    this.#server?.close();
    if (this.#server !== undefined && "closeAllConnections" in this.#server)
      (this.#server as ReturnType<typeof createServer>).closeAllConnections();
    this.#server = undefined;
    this.#byToken.clear();
    this.#byDomain.clear();
    await Promise.all(this.#files.splice(0).map((path) => rm(path, { force: true })));
  }

  async #write(path: string, text: string): Promise<void> {
    this.#files.push(path);
    await writeWhole(path, text);
  }

  #httpServer(): Server {
    const answer: RequestListener = (request, response) => {
      const { url = "" } = request;
      const text = url.startsWith(PREFIX) ? this.#byToken.get(url.slice(PREFIX.length)) : undefined;
      response.writeHead(text === undefined ? 404 : 200, {
        "Content-Type": "application/octet-stream",
        Connection: "close",
      });
      response.end(text);
    };
    return createServer({ requestTimeout: REQUEST_TIMEOUT_MS, headersTimeout: REQUEST_TIMEOUT_MS }, answer);
  }

  #tlsServer(): Server {
    const server = createTlsServer(
      {
        ALPNProtocols: [ACME_TLS],
        handshakeTimeout: REQUEST_TIMEOUT_MS,
        SNICallback: (name, done) => done(null, this.#byDomain.get(name.toLowerCase())),
      },
      // The certificate was all that was asked for.
      (socket) => socket.end(),
    );
    server.on("tlsClientError", (error, socket) => {
      this.#log.debug({ event: "certificate.handshake_failed" }, error.message);
      socket.destroy();
    });
    return server;
  }
}

function listening(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => {
      server.off("error", reject);
      resolve();
    });
  });
}
