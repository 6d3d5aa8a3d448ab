import { expect } from "chai";
import { ChunkScanner } from "../../../../src/http/http1/chunk-scanner.ts";

const NEXT = "GET /next HTTP/1.1\r\n";

/** How many of the bytes belong to the body, when they come in pieces of so many. */
function endOf(text: string, pieceBytes: number): number | "broken" | "goes on" {
  const scanner = new ChunkScanner(() => {});
  const bytes = Buffer.from(text, "latin1");
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    const found = scanner.scan(bytes.subarray(at, at + pieceBytes), 0);
    if (found === "broken") return found;
    if (found >= 0) return at + found;
  }
  return "goes on";
}

describe("end of a chunked body", () => {
  for (const body of [
    "0\r\n\r\n",
    "1\r\nx\r\n0\r\n\r\n",
    "3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n",
    "00000a\r\n0123456789\r\n000\r\n\r\n",
    '1;a=b;c="d"\r\nx\r\n0;last\r\n\r\n',
    "1\r\nx\r\n0\r\nX-Trailer: 1\r\nX-Other: 2\r\n\r\n",
    "14\r\nGET / HTTP/1.1\r\n\r\n\r\n\r\n0\r\n\r\n",
  ])
    it(`is found in ${JSON.stringify(body)}, however it comes`, () => {
      for (const pieceBytes of [1, 2, 3, 5, 7, 1_000]) {
        expect(endOf(body + NEXT, pieceBytes), `pieces of ${pieceBytes}`).to.equal(body.length);
        expect(endOf(body.slice(0, -1), pieceBytes), `pieces of ${pieceBytes}`).to.equal("goes on");
      }
    });

  for (const body of [
    "\r\n",
    "z\r\n",
    " 1\r\nx\r\n",
    "1 \r\nx\r\n",
    "-1\r\n",
    "0x1\r\n",
    ";a\r\n",
    "1\nx\r\n",
    "1\rx\r\n",
    "1;a\nb\r\nx",
    "1\r\nxy\r\n",
    "1\r\nx\n0\r\n",
    "10000000000000000\r\n",
    `${"0".repeat(65)}1\r\n`,
  ])
    it(`is none in ${JSON.stringify(body.slice(0, 20))}`, () => {
      for (const pieceBytes of [1, 1_000]) expect(endOf(body, pieceBytes)).to.equal("broken");
    });

  it("announces the size of chunks that are not there yet", () => {
    const announced: number[] = [];
    const scanner = new ChunkScanner((bytes) => announced.push(bytes));
    scanner.scan(Buffer.from("1\r\nx\r\n5\r\nab"), 0);
    scanner.scan(Buffer.from("cde\r\nFFFFFFFFFFFFFFFF\r\n"), 0);
    expect(announced).to.deep.equal([5, 2 ** 64]);
  });
});
