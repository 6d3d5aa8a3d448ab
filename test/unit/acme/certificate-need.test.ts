import { expect } from "chai";
import { type CertificateFacts, orderReason, renewalTimeMs } from "../../../src/acme/certificate-need.ts";

const DAY_MS = 86_400_000;
const wanted = { domains: ["example.com", "www.example.com"], directoryUrl: "https://one.example/dir" };
/** Valid from the first to the 91st day. */
const stored: CertificateFacts = {
  domains: ["www.example.com", "example.com"],
  validFromMs: DAY_MS,
  validToMs: 91 * DAY_MS,
  directoryUrl: wanted.directoryUrl,
};

describe("orderReason", () => {
  const cases: [name: string, stored: CertificateFacts | undefined, day: number, expected: string | undefined][] = [
    ["there is none", undefined, 2, "missing"],
    ["a fresh one, names in another order", stored, 2, undefined],
    ["just more than a third is left", stored, 60.9, undefined],
    ["a third is left", stored, 61, "expiring"],
    ["it has ended", stored, 100, "expiring"],
    ["a name is missing in it", { ...stored, domains: ["example.com"] }, 2, "other-domains"],
    ["it has a name too many", { ...stored, domains: [...stored.domains, "a.example.com"] }, 2, "other-domains"],
    ["as many names, but others", { ...stored, domains: ["example.com", "b.example.com"] }, 2, "other-domains"],
    ["it came from another authority", { ...stored, directoryUrl: "https://staging/dir" }, 2, "other-authority"],
    ["another program laid it there", { ...stored, directoryUrl: undefined }, 2, undefined],
    ["another program laid it there, and it ends", { ...stored, directoryUrl: undefined }, 70, "expiring"],
  ];
  for (const [name, certificate, day, expected] of cases)
    it(`${name}: ${expected ?? "nothing to do"}`, () => {
      expect(orderReason(certificate, wanted, day * DAY_MS, 0)).to.equal(expected);
    });

  it("waits up to a thirtieth of the life longer, by jitter", () => {
    expect(renewalTimeMs(stored, 0)).to.equal(61 * DAY_MS);
    expect(renewalTimeMs(stored, 1)).to.equal(64 * DAY_MS);
    expect(orderReason(stored, wanted, 63 * DAY_MS, 1)).to.equal(undefined);
    expect(orderReason(stored, wanted, 64 * DAY_MS, 1)).to.equal("expiring");
  });
});
