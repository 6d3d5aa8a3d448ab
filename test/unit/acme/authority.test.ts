import { expect } from "chai";
import { explained, retryAfterMs } from "../../../src/acme/authority.ts";
import type { AcmeOptions } from "../../../src/config/options.ts";
import { RrError } from "../../../src/errors.ts";

const options: AcmeOptions = {
  email: "a@b.example",
  domains: ["a.example"],
  cacheDirectory: "/nowhere",
  challenge: "http-01",
  challengeAddress: undefined,
  answeredByFrontends: true,
  directoryUrl: "https://authority.example:14000/dir",
  directoryCaFile: undefined,
};

describe("retryAfterMs", () => {
  const nowMs = Date.parse("2026-01-01T00:00:00Z");
  for (const [header, expected] of [
    ["120", 120_000],
    ["Thu, 01 Jan 2026 00:01:00 GMT", 60_000],
    ["Wed, 31 Dec 2025 00:00:00 GMT", 0],
    ["soon", 0],
    ["", 0],
    [undefined, 0],
  ] as const)
    it(`${header} is ${expected} ms`, () => expect(retryAfterMs(header, nowMs)).to.equal(expected));
});

describe("explained", () => {
  const axiosError = (code: string, message: string) => Object.assign(new Error(message), { code, isAxiosError: true });

  it("says what to do about an authority that is not trusted", () => {
    const error = axiosError("DEPTH_ZERO_SELF_SIGNED_CERT", "self-signed certificate");
    expect(explained(error, options).message).to.equal(
      "the certificate of authority.example:14000 itself is not trusted (self-signed certificate): name its authority in http.ssl.acme.directory_ca",
    );
    expect(explained(error, { ...options, directoryCaFile: "/ca.crt" }).message).to.contain(
      "see whether that is in the file of http.ssl.acme.directory_ca",
    );
  });

  it("tells silence, refusal and files apart", () => {
    const texts = [
      axiosError("ECONNREFUSED", ""),
      new Error("too many certificates already issued"),
      Object.assign(new Error("EACCES: permission denied, open '/nowhere/account.key'"), { code: "EACCES" }),
    ].map((error) => explained(error, options).message);
    expect(texts).to.deep.equal([
      "authority.example:14000 does not answer: ECONNREFUSED",
      "authority.example:14000 refuses: too many certificates already issued",
      "EACCES: permission denied, open '/nowhere/account.key'",
    ]);
  });

  it("leaves explanations as they are", () => {
    const error = new RrError("UNAVAILABLE", "it is so");
    expect(explained(error, options)).to.equal(error);
  });
});
