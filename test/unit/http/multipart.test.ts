import { expect } from "chai";
import { type MultipartLimits, MultipartReader } from "../../../src/http/multipart.ts";

const TYPE = "multipart/form-data; boundary=B";
const LIMITS: MultipartLimits = { fileBytesMax: 100_000, filesMax: 2, fieldsMax: 3, fieldBytesMax: 50 };

function part(disposition: string, content: string, type?: string): string {
  return `--B\r\nContent-Disposition: form-data; ${disposition}${type ? `\r\nContent-Type: ${type}` : ""}\r\n\r\n${content}\r\n`;
}

interface Read {
  told: string[];
  failure: string | undefined;
}

/** Feeds a form in pieces of so many bytes; resolves when all was told, or the form was refused. */
function read(form: string, pieceBytes = 7, limits: MultipartLimits = LIMITS): Promise<Read> {
  return new Promise((resolve) => {
    const told: string[] = [];
    const reader = new MultipartReader(TYPE, limits, {
      field: (name, value) => told.push(`${name}=${value}`),
      noFile: (name) => told.push(`${name}: none`),
      file: (name, fileName, mime) => {
        let text = "";
        return {
          take: (data) => {
            text += data;
            return true;
          },
          end: () => told.push(`${name}: ${fileName} (${mime}) ${text}`),
        };
      },
      drained: () => {},
      finished: () => resolve({ told, failure: undefined }),
      failed: ({ reason, message }) => resolve({ told, failure: `${reason}: ${message}` }),
    });
    const bytes = Buffer.from(form);
    for (let at = 0; at < bytes.length; at += pieceBytes) reader.write(bytes.subarray(at, at + pieceBytes));
    reader.end();
  });
}

describe("multipart forms", () => {
  const form = `${part('name="a"', "1")}${part('name="f"; filename="x.txt"', "text with --B in it", "text/plain")}${part('name="a"', "ü")}--B--\r\n`;

  for (const pieceBytes of [1, 7, 64, 10_000])
    it(`are read in pieces of ${pieceBytes} bytes`, async () => {
      const { told, failure } = await read(form, pieceBytes);
      expect(failure).to.equal(undefined);
      // Fields and files each come in their order; a file is told when it has ended.
      expect(told.filter((text) => !text.includes(":"))).to.deep.equal(["a=1", "a=ü"]);
      expect(told.filter((text) => text.includes(":"))).to.deep.equal(["f: x.txt (text/plain) text with --B in it"]);
    });

  for (const [what, text, failure] of [
    ["no end", form.slice(0, -6), /^INVALID_REQUEST/],
    ["another boundary", "--C\r\n\r\n--C--", /^INVALID_REQUEST/],
    ["too many files", part('name="f"; filename="x"', "x").repeat(3), /^PAYLOAD_TOO_LARGE.*max_files/],
    ["too many fields", part('name="f"', "x").repeat(4), /^PAYLOAD_TOO_LARGE.*max_fields/],
    ["a field too large", part('name="f"', "x".repeat(51)), /^PAYLOAD_TOO_LARGE.*max_field_size/],
    ["a field far too large", part('name="f"', "x".repeat(400_000)), /^PAYLOAD_TOO_LARGE.*field "f".*max_field_size/],
    ["a file too large", part('name="f"; filename="x"', "x".repeat(100_001)), /^PAYLOAD_TOO_LARGE.*max_file_size/],
    ["text that belongs to no part", `${"x".repeat(300_000)}--B--`, /^INVALID_REQUEST/],
  ] as const)
    it(`are refused with ${what}`, async () => {
      expect(
        (await read(text.includes("--B--") ? text : `${text}${what === "no end" ? "" : "--B--\r\n"}`, 4096)).failure,
      ).to.match(failure);
    });

  it("need a boundary", () => {
    const listener = {} as ConstructorParameters<typeof MultipartReader>[2];
    expect(() => new MultipartReader("multipart/form-data", LIMITS, listener)).to.throw(/names no boundary/);
  });

  it("pass over parts without a name", async () => {
    const { told, failure } = await read(`${part("", "x")}${part('name="a"', "1")}--B--\r\n`);
    expect([failure, told]).to.deep.equal([undefined, ["a=1"]]);
  });

  it("tell file inputs without a file from texts, whatever stands between them", async () => {
    const parts = [
      part('name="a"', "1"),
      part('name="f"; filename=""', "", "application/octet-stream"),
      part('name="g"; filename="x.txt"', "text"),
      part('name="h"; filename=""', "not empty"),
      part('name="i[]"; filename=""', ""),
    ];
    for (const pieceBytes of [1, 13, 10_000]) {
      const { told, failure } = await read(`${parts.join("")}--B--\r\n`, pieceBytes, { ...LIMITS, fieldsMax: 4 });
      expect(failure).to.equal(undefined);
      expect(told).to.have.members(["a=1", "f: none", "g: x.txt (text/plain) text", "h=not empty", "i[]: none"]);
    }
  });
});
