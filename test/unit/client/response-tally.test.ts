import { expect } from "chai";
import { ResponseTally } from "../../../src/client/response-tally.ts";

describe("ResponseTally", () => {
  it("counts by pool and class, until it is asked", () => {
    const tally = new ResponseTally();
    for (const status of [200, 204, 301, 404, 500, 502, 503]) tally.add("http", status);
    tally.add("reports", 103);
    for (const status of [0, 99, 600, Number.NaN]) tally.add("http", status);
    expect(tally.take().map(({ $typeName: _, ...counts }) => counts)).to.deep.equal([
      { pool: "http", responses1xx: 0, responses2xx: 2, responses3xx: 1, responses4xx: 1, responses5xx: 3 },
      { pool: "reports", responses1xx: 1, responses2xx: 0, responses3xx: 0, responses4xx: 0, responses5xx: 0 },
    ]);
    expect(tally.take()).to.deep.equal([]);
  });
});
