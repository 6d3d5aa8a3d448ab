import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "node:tls";
import { expect } from "chai";
import { ChallengeAnswers } from "../../../src/acme/challenge-answers.ts";
import type { AcmeOptions } from "../../../src/config/options.ts";
import { makeCertificate, noOpenssl } from "../../support/certificates.ts";
import { send } from "../../support/http-load.ts";
import { memoryLog } from "../../support/memory-log.ts";
import { freePort } from "../../support/pebble.ts";
import { skip } from "../../support/php.ts";

describe("ChallengeAnswers", () => {
  let directory: string;
  let answers: ChallengeAnswers;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "rr-answers-"));
    mkdirSync(join(directory, "challenges"));
  });

  afterEach(async () => {
    await answers.close();
    rmSync(directory, { recursive: true });
  });

  const rejection = (promise: Promise<unknown>) =>
    promise.then(
      () => expect.fail("it was done"),
      (error: Error) => error.message,
    );

  async function open(options: Partial<AcmeOptions> = {}) {
    const { log, lines } = memoryLog();
    const port = await freePort();
    const all: AcmeOptions = {
      email: "a@b.example",
      domains: ["localhost"],
      cacheDirectory: directory,
      challenge: "http-01",
      challengeAddress: { kind: "tcp", host: "127.0.0.1", port },
      answeredByFrontends: false,
      directoryUrl: "https://authority.example/dir",
      directoryCaFile: undefined,
      ...options,
    };
    answers = new ChallengeAnswers(all, log);
    await answers.open();
    return { port, lines, options: all };
  }

  it("shows texts in files and on its address, nothing else, and nothing after it is closed", async () => {
    const { port } = await open();
    await answers.showText("a-token", "a-token.thumbprint");
    expect(readFileSync(join(directory, "challenges/a-token"), "utf8")).to.equal("a-token.thumbprint");
    const url = `http://127.0.0.1:${port}/.well-known/acme-challenge`;
    expect(await send(`${url}/a-token`)).to.deep.include({ status: 200, body: "a-token.thumbprint" });
    for (const other of [`${url}/b-token`, `${url}/`, `http://127.0.0.1:${port}/a-token`])
      expect(await send(other)).to.deep.include({ status: 404, body: "" });
    await answers.close();
    expect(readdirSync(join(directory, "challenges"))).to.deep.equal([]);
    expect(await send(`${url}/a-token`).catch(({ code }) => code)).to.equal("ECONNREFUSED");
  });

  it("makes no file of a token that is a path", async () => {
    await open();
    for (const token of ["../account.key", "a/b", "", "a.pem", "x".repeat(201)])
      expect(await rejection(answers.showText(token, "x"))).to.contain("characters that none may have");
    expect(readdirSync(directory)).to.deep.equal(["challenges"]);
  });

  it("shows certificates by name in a file for this user alone and on its address", async function () {
    const reason = noOpenssl();
    if (reason !== undefined) return skip(this, reason);
    const { port } = await open({ challenge: "tls-alpn-01" });
    const { key, cert } = makeCertificate(join(directory, "made"), "answer");
    await answers.showCertificate("localhost", key, cert);
    expect(await rejection(answers.showCertificate("other.example", key, cert))).to.contain("was not ordered");
    expect(statSync(join(directory, "challenges/localhost.pem")).mode & 0o777).to.equal(0o600);
    const asked = (servername: string, protocol: string) =>
      new Promise<string>((resolve) => {
        const options = { port, host: "127.0.0.1", servername, rejectUnauthorized: false, ALPNProtocols: [protocol] };
        const socket = connect(options, () => {
          resolve(`${socket.alpnProtocol} ${socket.getPeerCertificate().subject.CN}`);
          socket.destroy();
        });
        socket.once("error", () => resolve("refused"));
      });
    expect(await asked("localhost", "acme-tls/1")).to.equal("acme-tls/1 answer");
    expect(await asked("localhost", "h2")).to.equal("refused");
    expect(await asked("other.example", "acme-tls/1")).to.equal("refused");
  });

  it("does with the frontends alone where its address is taken, if they answer", async () => {
    const { options } = await open();
    const taken = new ChallengeAnswers({ ...options, answeredByFrontends: false }, memoryLog().log);
    expect(await rejection(taken.open()))
      .to.contain("the port is in use")
      .and.to.contain("http.ssl.acme.alt_http_port");
    const { log, lines } = memoryLog();
    const shared = new ChallengeAnswers({ ...options, answeredByFrontends: true }, log);
    await shared.open();
    expect(lines.map(({ level, fields }) => [level, fields.event])).to.deep.equal([["warn", "certificate.no_address"]]);
    await shared.close();
  });
});
