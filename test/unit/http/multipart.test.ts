import { expect } from "chai";
import fc from "fast-check";
import { type MultipartLimits, MultipartReader } from "../../../src/http/multipart.ts";

const TYPE = "multipart/form-data; boundary=B";
const LIMITS: MultipartLimits = { filesMax: 2, fieldsMax: 3, fieldBytesMax: 50 };

function part(disposition: string, content: string, type?: string): string {
  return `--B\r\nContent-Disposition: form-data; ${disposition}${type ? `\r\nContent-Type: ${type}` : ""}\r\n\r\n${content}\r\n`;
}

interface Read {
  told: string[];
  failure: string | undefined;
}

/** Feeds a form in pieces of so many bytes. */
function read(form: string | Buffer, pieceBytes = 7, limits: MultipartLimits = LIMITS, type = TYPE): Read {
  const result: Read = { told: [], failure: undefined };
  const taker = (before: string) => {
    let text = "";
    return {
      take: (data: Buffer) => {
        text += data.toString("latin1");
      },
      end: () => void result.told.push(before + text),
    };
  };
  const reader = new MultipartReader(type, limits, {
    field: (name, charset) => taker(`${name}${charset === undefined ? "" : `(${charset})`}=`),
    noFile: (name) => result.told.push(`${name}: none`),
    file: (name, fileName, mime) => taker(`${name}: ${fileName} (${mime}) `),
    finished: () => result.told.push("finished"),
    failed: ({ reason, message }) => {
      result.failure = `${reason}: ${message}`;
    },
  });
  const bytes = Buffer.from(form as string, "latin1");
  for (let at = 0; at < bytes.length; at += pieceBytes) reader.write(bytes.subarray(at, at + pieceBytes));
  reader.end();
  return result;
}

describe("multipart forms", () => {
  const form = `${part('name="a"', "1")}${part('name="f"; filename="x.txt"', "text with --B in it\r\n--Bx\r\n-", "text/plain")}${part('name="a"', "ü")}--B--\r\n`;

  for (const pieceBytes of [1, 7, 64, 10_000])
    it(`are read in pieces of ${pieceBytes} bytes`, () => {
      expect(read(form, pieceBytes)).to.deep.equal({
        told: ["a=1", "f: x.txt (text/plain) text with --B in it\r\n--Bx\r\n-", "a=ü", "finished"],
        failure: undefined,
      });
    });

  const end = "--B--\r\n";
  for (const [what, text, failure] of [
    ["no end", form.slice(0, -6), /^INVALID_REQUEST.*ends before/],
    ["an end that is cut", form.slice(0, -4), /^INVALID_REQUEST.*ends before/],
    ["another boundary", "--C\r\n\r\n--C--", /^INVALID_REQUEST/],
    ["nothing in it", "-", /^INVALID_REQUEST/],
    ["too many files", part('name="f"; filename="x"', "x").repeat(3) + end, /^PAYLOAD_TOO_LARGE.*max_files/],
    ["too many fields", part('name="f"', "x").repeat(4) + end, /^PAYLOAD_TOO_LARGE.*max_fields/],
    ["too many fields without a name", part("x=y", "x").repeat(4) + end, /^PAYLOAD_TOO_LARGE.*max_fields/],
    ["too many empty inputs", part('name="f"; filename=""', "").repeat(4) + end, /^PAYLOAD_TOO_LARGE.*max_fields/],
    ["too many other parts", "--B\r\nX-A: b\r\n\r\n\r\n".repeat(101) + end, /^INVALID_REQUEST.*no form data/],
    ["too many empty parts", "--B\r\n\r\n\r\n".repeat(101) + end, /^INVALID_REQUEST.*no form data/],
    ["a field too large", part('name="f"', "x".repeat(51)) + end, /^PAYLOAD_TOO_LARGE.*field "f".*max_field_size/],
    ["a name too long", part(`name="${"x".repeat(9000)}"`, "") + end, /^INVALID_REQUEST.*8192/],
    ["text that belongs to no part", `${"x".repeat(300_000)}\r\n${end}`, /^INVALID_REQUEST/],
    ["text behind its end", `${end}${"x".repeat(300_000)}`, /^INVALID_REQUEST/],
    ["a large part without a name", part("x=y", "x".repeat(300_000)) + end, /^INVALID_REQUEST/],
    ["a head too large", `--B\r\nX: ${"x".repeat(20_000)}\r\n\r\n`, /^INVALID_REQUEST.*head/],
    ["a head without an end", `--B\r\n${"X: y\r\n".repeat(5_000)}`, /^INVALID_REQUEST.*head/],
    ["a bare line end in a head", part('name="a\nb"', "x") + end, /^INVALID_REQUEST.*bare/],
  ] as const)
    for (const pieceBytes of [4096, 100_000_000])
      it(`are refused with ${what}, in pieces of ${pieceBytes} bytes`, () => {
        expect(read(text, pieceBytes).failure).to.match(failure);
      });

  it("are refused with too many bytes of names or of values together", () => {
    const limits = { filesMax: 10_000, fieldsMax: 10_000, fieldBytesMax: 10_000_000 };
    const names = part(`name="${"x".repeat(8000)}"`, "").repeat(300) + end;
    expect(read(names, 65_536, limits).failure).to.match(/^PAYLOAD_TOO_LARGE.*names/);
    const values = part('name="x"', "x".repeat(9_000_000)).repeat(4) + end;
    expect(read(values, 65_536, limits).failure).to.match(/^PAYLOAD_TOO_LARGE.*33554432/);
  });

  it("need a boundary", () => {
    for (const type of [
      "multipart/form-data",
      "multipart/form-data; boundary=",
      `multipart/form-data; boundary=${"b".repeat(251)}`,
    ])
      expect(() => read("", 1, LIMITS, type), type).to.throw(/names no boundary/); // prettier-ignore
  });

  for (const type of [
    'multipart/form-data; boundary="B"',
    "Multipart/Form-Data;charset=utf-8;BOUNDARY=B",
    "multipart/form-data; boundary=B; x=y",
  ])
    it(`know their boundary: ${type}`, () => expect(read(form, 64, LIMITS, type).failure).to.equal(undefined));

  it("pass over parts without a name, text around, blanks behind boundaries and an empty form", () => {
    const text = `before\r\n${part("", "x")}${part('name="a"', "1").replace("--B", "--B \t")}--B--behind`;
    expect(read(text)).to.deep.equal({ told: ["a=1", "finished"], failure: undefined });
    expect(read(end)).to.deep.equal({ told: ["finished"], failure: undefined });
  });

  it("may end a part right behind its head", () => {
    const text = '--B\r\nContent-Disposition: form-data; name="a"\r\n\r\n--B--';
    for (const pieceBytes of [1, 5, 1000]) expect(read(text, pieceBytes).told).to.deep.equal(["a=", "finished"]);
  });

  it("tell file inputs without a file from texts", () => {
    const parts = [
      part('name="a"', "1"),
      part('name="f"; filename=""', "", "application/octet-stream"),
      part('name="g"; filename="x.txt"', "text"),
      part('name="h"; filename=""', "not empty"),
      part('name="i[]"; filename=""', ""),
    ];
    for (const pieceBytes of [1, 13, 10_000]) {
      const { told, failure } = read(`${parts.join("")}--B--\r\n`, pieceBytes, { ...LIMITS, fieldsMax: 4 });
      expect(failure).to.equal(undefined);
      expect(told).to.deep.equal(["a=1", "f: none", "g: x.txt () text", "h=not empty", "i[]: none", "finished"]);
    }
  });

  for (const [disposition, told] of [
    ['name="a"; filename="C:\\dir\\x.txt"', "a: x.txt () "],
    ['name="a"; filename="/dir/x \\"y\\" \\\\.txt"', "a: .txt () "],
    ['filename="x;y.txt"; name="a"', "a: x;y.txt () "],
    ["name=a; filename=x.txt", "a: x.txt () "],
    ["name=a; filename*=UTF-8''caf%C3%A9.txt; filename=x.txt", `a: ${Buffer.from("café.txt").toString("latin1")} () `],
    ["name=a; filename*=UTF-8''%FF; filename=x.txt", "a: x.txt () "],
    ['name="a\\"b"', 'a"b='],
    ['NAME="a"', "a="],
  ] as const)
    it(`have names: ${disposition}`, () => expect(read(part(disposition, "") + end).told[0]).to.equal(told));

  it("have types without parameters, or none", () => {
    const file = 'name="a"; filename="x"';
    expect(
      read(part(file, "", "Text/HTML; charset=x") + part('name="b"', "", "text/plain; charset=ISO-8859-1") + end).told,
    ).to.deep.equal(["a: x (Text/HTML) ", "b(iso-8859-1)=", "finished"]);
  });

  it("are byte-exact, whatever is in them and however they are cut", () => {
    const piece = fc.constantFrom(
      "\r",
      "\n",
      "-",
      "--",
      "\r\n",
      "\r\n--",
      "\r\n--B",
      "--B",
      "\r\n--Bx",
      "B",
      "x",
      "\0",
      "\r\n--B ",
      "\r\n--B-x",
    );
    const content = fc.array(piece, { maxLength: 12 }).map((pieces) => `${pieces.join("")}`);
    // Not a boundary of the form itself.
    const isPlain = (text: string) => !/(?:^|\r\n)--B(?:--|[ \t]*(?:\r\n|$|\r$|-$))/.test(text);
    fc.assert(
      fc.property(
        fc.array(content.filter(isPlain), { maxLength: 3 }),
        fc.integer({ min: 1, max: 40 }),
        (contents, pieceBytes) => {
          const text = contents.map((one, at) => part(`name="n${at}"; filename="f"`, one)).join("") + end;
          const { told } = read(text, pieceBytes, { ...LIMITS, filesMax: 3 });
          expect(told).to.deep.equal([...contents.map((one, at) => `n${at}: f () ${one}`), "finished"]);
        },
      ),
      { numRuns: 3_000 },
    );
  });

  it("take time in proportion to their bytes", () => {
    const limits = { filesMax: 100_000, fieldsMax: 100_000, fieldBytesMax: 50_000_000 };
    const near = `\r\n--${"-".repeat(60)}`.repeat(300_000);
    const type = `multipart/form-data; boundary=${"-".repeat(70)}`;
    expect(read(near, 65_536, limits, type).failure).to.match(/^INVALID_REQUEST/);
    expect(read(part('name="a"; filename="x"', "\r".repeat(20_000_000)) + end, 65_536, limits).told).to.have.length(2);
    const padded = part('name="a"; filename="x"', `\r\n--B${" ".repeat(1000)}`.repeat(10_000)) + end;
    expect(read(padded, 65_536, limits).told).to.have.length(2);
  }).timeout(10_000);
});
