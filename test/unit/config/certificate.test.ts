import { execFileSync } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { certificateProblem } from "../../../src/config/certificate.ts";
import { type Certificate, makeCertificate, noOpenssl } from "../../support/certificates.ts";
import { skip } from "../../support/php.ts";

describe("the problem of a certificate and a key", () => {
  let directory: string;
  let one: Certificate;
  let other: Certificate;

  before(function () {
    const reason = noOpenssl();
    if (reason !== undefined) return skip(this, reason);
    directory = mkdtempSync(join(tmpdir(), "rr-certificate-"));
    one = makeCertificate(directory, "one");
    other = makeCertificate(directory, "other");
  });

  after(() => {
    if (directory) rmSync(directory, { recursive: true });
  });

  it("is none if they belong together, with a chain or without", () => {
    expect(certificateProblem(one.cert, one.key)).to.equal(undefined);
    expect(certificateProblem(one.cert + other.cert, one.key)).to.equal(undefined);
  });

  it("is that they do not belong together", () => {
    expect(certificateProblem(one.cert, other.key)).to.deep.equal({
      file: "key",
      text: "is not the key of the certificate",
    });
    expect(certificateProblem(other.cert + one.cert, one.key)?.file, "the first one counts").to.equal("key");
  });

  it("is a file that holds something else", () => {
    expect(certificateProblem("", one.key)?.file).to.equal("cert");
    expect(certificateProblem(one.key, one.key)?.text).to.match(/^is no certificate in PEM form/);
    expect(certificateProblem(one.cert, "")?.file).to.equal("key");
    expect(certificateProblem(one.cert, one.cert)?.text).to.match(/^is no private key in PEM form/);
    const { publicKey } = generateKeyPairSync("ed25519");
    const publicPem = publicKey.export({ type: "spki", format: "pem" }).toString();
    expect(certificateProblem(one.cert, publicPem)?.text).to.match(/^is no private key/);
  });

  it("is a key that needs a passphrase", () => {
    const file = join(directory, "locked.key");
    execFileSync("openssl", ["pkcs8", "-topk8", "-in", one.keyFile, "-out", file, "-passout", "pass:secret"]);
    const problem = certificateProblem(one.cert, readFileSync(file, "utf8"));
    expect(problem).to.deep.include({ file: "key" });
    expect(problem!.text).to.contain("without a passphrase");
  });
});
