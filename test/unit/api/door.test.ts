import { expect } from "chai";
import { Metadata } from "nice-grpc-common";
import { callerAt, type Door } from "../../../src/api/door.ts";
import type { RrError } from "../../../src/errors.ts";

const TOKENS = {
  find: (token: string) =>
    token === "right" ? { name: "ci", role: "operator" as const, hash: Buffer.alloc(32) } : undefined,
};
const BOTH: Door = { kind: "identified", tokens: TOKENS, certificateRoles: { alice: "admin", "*": "viewer" } };
const peer = "10.0.0.9:1234";

function at(door: Door, headers: Record<string, string> = {}) {
  return callerAt(door, { metadata: Metadata(headers), peer });
}

function refused(door: Door, headers: Record<string, string> = {}): RrError {
  try {
    at(door, headers);
  } catch (thrown) {
    return thrown as RrError;
  }
  throw new Error("the caller was let in");
}

describe("a door of the API", () => {
  it("of the frontends lets in frontends", () => {
    expect(at({ kind: "frontends" }, { authorization: "Bearer right", "rr-peer-certificate": "alice" })).to.deep.equal({
      role: "frontend",
      actor: "a frontend of this server",
    });
  });

  it("of a socket lets in admins, by the name that they give", () => {
    const door: Door = { kind: "socket", tokens: undefined };
    expect(at(door)).to.deep.equal({ role: "admin", actor: "local socket" });
    expect(at(door, { "rr-caller": "alice, rrctl, pid 3" }).actor).to.equal("alice, rrctl, pid 3 (local socket)");
    expect(at(door, { "rr-caller": "x".repeat(500) }).actor.length).to.be.below(130);
  });

  it("of a socket takes a token for what it says", () => {
    const door: Door = { kind: "socket", tokens: TOKENS };
    expect(at(door, { authorization: "Bearer right" })).to.deep.equal({
      role: "operator",
      actor: 'token "ci" (local socket)',
    });
    expect(refused(door, { authorization: "Bearer wrong" }).reason).to.equal("UNAUTHENTICATED");
  });

  it("that asks nobody says so", () => {
    expect(at({ kind: "open" })).to.deep.equal({ role: "admin", actor: "10.0.0.9:1234, not identified" });
  });

  it("that asks takes tokens and certificates", () => {
    expect(at(BOTH, { authorization: "bearer right" })).to.deep.equal({
      role: "operator",
      actor: `token "ci" (${peer})`,
    });
    expect(at(BOTH, { "rr-peer-certificate": "alice" })).to.deep.equal({
      role: "admin",
      actor: `certificate "alice" (${peer})`,
    });
    expect(at(BOTH, { "rr-peer-certificate": "bob" }).role).to.equal("viewer");
    expect(at(BOTH, { "rr-peer-certificate": "constructor" }).role).to.equal("viewer");
  });

  it("that asks does not go by a certificate when a token is wrong, nor by names that callers give", () => {
    const wrong = { authorization: "Bearer wrong", "rr-peer-certificate": "alice" };
    expect(refused(BOTH, wrong).reason).to.equal("UNAUTHENTICATED");
    expect(refused(BOTH, { "rr-caller": "admin" }).reason).to.equal("UNAUTHENTICATED");
  });

  for (const [what, headers] of [
    ["nothing", {}],
    ["a wrong token", { authorization: "Bearer planted-4711" }],
    ["no Bearer", { authorization: "planted-4711" }],
    ["a password", { authorization: "Basic planted-4711" }],
    ["an empty token", { authorization: "Bearer " }],
  ] as const)
    it(`that asks refuses ${what}, and does not repeat it`, () => {
      const error = refused({ kind: "identified", tokens: TOKENS, certificateRoles: undefined }, headers);
      expect(error.reason).to.equal("UNAUTHENTICATED");
      expect(error.message).not.to.contain("planted");
      expect(JSON.stringify(error.metadata)).not.to.contain("planted");
    });

  it("refuses certificates that have no role", () => {
    const door: Door = { kind: "identified", tokens: undefined, certificateRoles: { alice: "admin" } };
    const error = refused(door, { "rr-peer-certificate": "bob" });
    expect(error.reason).to.equal("PERMISSION_DENIED");
    expect(error.message).to.contain('certificate "bob"').and.contain("control.tls.roles");
  });

  for (const door of [{ kind: "open" }, { kind: "socket", tokens: undefined }, { kind: "frontends" }, BOTH] as Door[])
    it(`(${door.kind}) refuses web pages`, () => {
      const error = refused(door, { origin: "http://evil.example", authorization: "Bearer right" });
      expect(error.reason).to.equal("PERMISSION_DENIED");
    });
});
