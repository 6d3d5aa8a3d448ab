import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { CacheFolder, newKey } from "../../../src/acme/cache-folder.ts";
import { makeCertificate, noOpenssl } from "../../support/certificates.ts";
import { skip } from "../../support/php.ts";

describe("CacheFolder", () => {
  let directory: string;
  let folder: CacheFolder;
  const wanted = { domains: ["a.example"], directoryUrl: "https://one/dir" };

  beforeEach(async () => {
    directory = join(mkdtempSync(join(tmpdir(), "rr-cache-")), "acme");
    folder = new CacheFolder(directory);
    await folder.prepare();
  });

  afterEach(() => rmSync(join(directory, ".."), { recursive: true }));

  const rejection = (promise: Promise<unknown>) =>
    promise.then(
      () => expect.fail("it was done"),
      (error: { reason: string; message: string }) => error,
    );

  it("is for this user alone", () => {
    expect(statSync(directory).mode & 0o777).to.equal(0o700);
  });

  it("makes an account's key once, for this user alone", async () => {
    const key = await folder.accountKey();
    expect(key).to.contain("BEGIN PRIVATE KEY");
    expect(await folder.accountKey()).to.equal(key);
    expect(statSync(join(directory, "account.key")).mode & 0o777).to.equal(0o600);
    expect(readdirSync(directory).sort()).to.deep.equal(["account.key", "challenges"]);
  });

  it("does not replace an account's key that it cannot read", async () => {
    writeFileSync(join(directory, "account.key"), "no key");
    const { reason, message } = await rejection(folder.accountKey());
    expect(reason).to.equal("FAILED_PRECONDITION");
    expect(message).to.contain(join(directory, "account.key")).and.not.contain("no key\n");
  });

  it("keeps a certificate with its key and where it is from", async function () {
    const reason = noOpenssl();
    if (reason !== undefined) return skip(this, reason);
    expect(await folder.certificate()).to.equal(undefined);
    const { key, cert } = makeCertificate(join(directory, "made"), "one");
    await folder.storeCertificate(key, cert, "https://one/dir");
    const facts = (await folder.certificate())!;
    expect(facts).to.deep.include({ domains: ["localhost"], directoryUrl: "https://one/dir" });
    expect((facts.validToMs - facts.validFromMs) / 86_400_000).to.equal(2);
    expect(statSync(join(directory, "certificate.key")).mode & 0o777).to.equal(0o600);
    expect(readdirSync(directory).filter((name) => name.includes(".new"))).to.deep.equal([]);

    writeFileSync(join(directory, "certificate.key"), newKey());
    expect(await folder.certificate(), "a key of something else").to.equal(undefined);
  });

  it("keeps failures of one order, not of another one", async () => {
    const record = { ...wanted, failedAtMs: [1, 2], notBeforeMs: 3 };
    await folder.storeFailures(record);
    expect(await folder.failures(wanted)).to.deep.equal(record);
    const other = { ...wanted, domains: ["b.example"] };
    expect(await folder.failures(other)).to.deep.equal({ ...other, failedAtMs: [], notBeforeMs: 0 });
    writeFileSync(join(directory, "failures.json"), "{");
    expect((await folder.failures(wanted)).failedAtMs).to.deep.equal([]);
    await folder.forgetFailures();
    await folder.forgetFailures();
  });

  it("removes what killed servers left, and leaves what one may be at, and what is not its own", async () => {
    const hoursAgo = Date.now() / 1000 - 7_200;
    for (const name of ["challenges/old", "certificate.key.7.new", "certificate.crt", "notes.new"]) {
      writeFileSync(join(directory, name), "");
      utimesSync(join(directory, name), hoursAgo, hoursAgo);
    }
    for (const name of ["challenges/fresh", "certificate.key.8.new"]) writeFileSync(join(directory, name), "");
    await folder.prepare();
    expect(readdirSync(directory).sort()).to.deep.equal([
      "certificate.crt",
      "certificate.key.8.new",
      "challenges",
      "notes.new",
    ]);
    expect(readdirSync(join(directory, "challenges"))).to.deep.equal(["fresh"]);
  });

  it("says which folder cannot be made, and which key names it", async () => {
    const file = join(directory, "file");
    mkdirSync(directory, { recursive: true });
    writeFileSync(file, "");
    const { reason, message } = await rejection(new CacheFolder(join(file, "acme")).prepare());
    expect(reason).to.equal("FAILED_PRECONDITION");
    expect(message).to.contain(join(file, "acme")).and.to.contain("http.ssl.acme.cache_dir");
  });
});
