import { chmodSync as chmod, chownSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { exposureProblem, exposureWarning } from "../../../src/access/exposure.ts";
import { Refusals } from "../../../src/access/refusals.ts";
import { mayCall, ROLES, type Role } from "../../../src/access/role.ts";
import { createToken, findToken, parseTokens, tokenLine } from "../../../src/access/token-file.ts";
import { readTokenFile, TokenStore } from "../../../src/access/token-store.ts";
import type { Address } from "../../../src/net/address.ts";
import { ManualClock } from "../../support/manual-clock.ts";
import { memoryLog } from "../../support/memory-log.ts";

describe("access", () => {
  describe("roles", () => {
    const table: Record<Role, Role[]> = {
      viewer: ["viewer", "operator", "admin"],
      operator: ["operator", "admin"],
      admin: ["admin"],
      frontend: ["frontend", "admin"],
    };
    for (const needed of ROLES)
      it(`what needs ${needed} may be called by ${table[needed].join(", ")}`, () => {
        const may = ROLES.filter((role) => mayCall(role, { role: needed, frontends: false }));
        expect(may).to.have.members(table[needed]);
        const withFrontends = ROLES.filter((role) => mayCall(role, { role: needed, frontends: true }));
        expect(withFrontends).to.have.members([...new Set([...table[needed], "frontend"])]);
      });
  });

  describe("tokens", () => {
    it("are found by themselves alone, and the file does not hold them", () => {
      const [one, other] = [createToken(), createToken()];
      const text = `# comment\n\n${tokenLine("ci", "operator", one)}\n${tokenLine("alice", "viewer", other)}\n`;
      const { entries, problems } = parseTokens(text);
      expect(problems).to.deep.equal([]);
      expect(findToken(entries, one)).to.include({ name: "ci", role: "operator" });
      expect(findToken(entries, other)).to.include({ name: "alice", role: "viewer" });
      for (const wrong of ["", `${one}x`, one.slice(0, -1), one.toUpperCase(), createToken()])
        expect(findToken(entries, wrong)).to.equal(undefined);
      expect(text).not.to.contain(one);
      expect(one).to.match(/^rrctl_[\w-]{43}$/);
    });

    for (const [line, said] of [
      ["rrctl_planted", /expected "name role sha256:hex"/],
      ["ci operator rrctl_planted", /expected "name role sha256:hex"/],
      [`ci boss sha256:${"0".repeat(64)}`, /one of the roles viewer, operator, admin, frontend/],
      [`c/i admin sha256:${"0".repeat(64)}`, /a name has at most 64/],
      [`ci admin sha256:${"0".repeat(64)} more`, /expected/],
    ] as const)
      it(`a wrong line is named and not repeated: ${line.slice(0, 20)}`, () => {
        const { entries, problems } = parseTokens(`\n${line}\n`);
        expect(entries).to.deep.equal([]);
        expect(problems).to.have.length(1);
        expect(problems[0]!.line).to.equal(2);
        expect(problems[0]!.message).to.match(said).and.not.contain("planted");
      });

    it("have names of their own", () => {
      const line = tokenLine("ci", "admin", "a");
      expect(parseTokens(`${line}\n${line}`).problems).to.deep.equal([
        { line: 2, message: "a name stands there twice" },
      ]);
    });
  });

  describe("the file of tokens", () => {
    let directory: string;
    let file: string;
    beforeEach(() => {
      directory = mkdtempSync(join(tmpdir(), "rr-test-tokens-"));
      file = join(directory, "tokens");
    });
    afterEach(() => rmSync(directory, { recursive: true }));

    it("is read again when it changes; one that cannot be used lets nobody in", () => {
      const { log, lines } = memoryLog();
      const [one, other] = [createToken(), createToken()];
      writeFileSync(file, `${tokenLine("ci", "operator", one)}\n`, { mode: 0o600 });
      const store = new TokenStore(file, log);
      expect(store.find(one)?.name).to.equal("ci");
      expect(store.find(other)).to.equal(undefined);
      writeFileSync(file, `${tokenLine("ci", "operator", one)}\n${tokenLine("new", "viewer", other)}\n`);
      expect(store.find(other)?.name).to.equal("new");
      writeFileSync(file, `${one}\n`);
      expect(store.find(one)).to.equal(undefined);
      expect(lines.at(-1)!.message).to.match(/no token is accepted: .*tokens:1: expected/);
      rmSync(file);
      expect(store.find(one)).to.equal(undefined);
      expect(JSON.stringify(lines)).not.to.contain(one);
    });

    for (const mode of [0o666, 0o660, 0o644, 0o604])
      it(`is not trusted with mode 0${mode.toString(8)}`, function () {
        if (process.platform === "win32") return this.skip();
        writeFileSync(file, "", { mode: 0o600 });
        // Whatever the umask is.
        writeFileSync(file, `${tokenLine("ci", "admin", "x")}\n`);
        chmod(file, mode);
        const read = readTokenFile(file);
        expect("problem" in read && read.problem)
          .to.contain(`its mode is 0${mode.toString(8)}`)
          .and.contain("chmod 600");
      });

    it("may be readable for its group", () => {
      writeFileSync(file, `${tokenLine("ci", "admin", "x")}\n`, { mode: 0o600 });
      chmod(file, 0o640);
      expect(readTokenFile(file)).to.have.property("entries");
    });

    it("of another user is not trusted", function () {
      if (process.getuid?.() !== 0) return this.skip();
      writeFileSync(file, "", { mode: 0o600 });
      chownSync(file, 65_534, 65_534);
      // Root is the server here: what belongs to somebody else could be changed by him.
      expect(readTokenFile(file)).to.have.property("problem").that.contains("belongs to another user");
    });

    it("has to be a file that is there", () => {
      expect(readTokenFile(file)).to.have.property("problem").that.contains("`rrctl token create` makes it");
      expect(readTokenFile(directory)).to.have.property("problem").that.contains("is no file");
    });
  });

  describe("an address", () => {
    const tcp = (host: string): Address => ({ kind: "tcp", host, port: 6002 });
    const table: [listen: Address | undefined, isSafe: boolean][] = [
      [undefined, true],
      [{ kind: "unix", path: "/run/x.sock" }, true],
      [tcp("127.0.0.1"), true],
      [tcp("127.3.2.1"), true],
      [tcp("::1"), true],
      [tcp("localhost"), true],
      [tcp(""), false],
      [tcp("0.0.0.0"), false],
      [tcp("::"), false],
      [tcp("10.0.0.5"), false],
      [tcp("fe80::1"), false],
      // May be in /etc/hosts as anything.
      [tcp("localhost.example.com"), false],
      [tcp("core.internal"), false],
    ];
    const nothing = { isEncrypted: false, hasTokens: false, hasCertificates: false };
    for (const [listen, isSafe] of table)
      it(`${listen?.kind === "tcp" ? `"${listen.host}"` : (listen?.path ?? "of no own")} ${isSafe ? "may" : "may not"} be open to everybody who reaches it`, () => {
        expect(exposureProblem({ listen, ...nothing }) === undefined).to.equal(isSafe);
      });

    it("beyond this machine needs encryption and identities, and says what to write", () => {
      const problem = (more: Partial<typeof nothing>) =>
        exposureProblem({ listen: tcp("10.0.0.5"), ...nothing, ...more });
      expect(problem({})).to.equal(
        "other machines reach 10.0.0.5:6002, so it needs encryption and callers who say who they are: add " +
          "`tls: {cert: control.crt, key: control.key}` and `tokens: control.tokens` (which `rrctl token create` writes) " +
          "to `control`, or listen on 127.0.0.1",
      );
      expect(problem({ isEncrypted: true }))
        .to.contain("add `tokens: control.tokens`")
        .and.not.contain("tls:");
      expect(problem({ hasTokens: true }))
        .to.contain("add `tls:")
        .and.not.contain("tokens:");
      expect(problem({ isEncrypted: true, hasTokens: true })).to.equal(undefined);
      expect(problem({ isEncrypted: true, hasCertificates: true })).to.equal(undefined);
    });

    it("of this machine that asks nobody is warned of", () => {
      expect(exposureWarning({ listen: tcp("127.0.0.1"), ...nothing })).to.contain("every user and program");
      expect(exposureWarning({ listen: tcp("127.0.0.1"), ...nothing, hasTokens: true })).to.equal(undefined);
      expect(exposureWarning({ listen: undefined, ...nothing })).to.equal(undefined);
    });
  });

  it("refusals are told of once a second, with their number", () => {
    const clock = new ManualClock();
    const refusals = new Refusals(clock);
    expect(refusals.count()).to.equal(0);
    for (let tries = 0; tries < 1_000; tries++) expect(refusals.count()).to.equal(undefined);
    clock.advance(1_000);
    expect(refusals.count()).to.equal(1_000);
    clock.advance(5_000);
    expect(refusals.count()).to.equal(0);
  });
});
