import { expect } from "chai";
import fc from "fast-check";
import { consoleLine, escapeControls, localTime } from "../../../src/log/console-line.ts";

const TS = "2026-01-31T12:00:00.123Z";
/** Anything that a terminal acts upon, or a reader takes for a line end. */
const STEERS = /[^\P{Cc}\n]|[\u2028\u2029\u202a-\u202e\u2066-\u2069]/u;

describe("Console lines", () => {
  it("has the time with its zone, the level, the channel, the message and the fields", () => {
    const line = consoleLine({ ts: TS, level: "info", channel: "http", logger: "http", msg: "it serves", a: 1 }, false);
    expect(line).to.match(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.123[+-]\d\d:\d\d INFO {2}http {3}it serves {2}a=1\n$/);
  });

  it("tells the moment in the time of the place", () => {
    const before = process.env.TZ;
    try {
      process.env.TZ = "Asia/Kathmandu";
      expect(localTime(TS)).to.equal("2026-01-31T17:45:00.123+05:45");
      process.env.TZ = "America/St_Johns";
      expect(localTime(TS)).to.equal("2026-01-31T08:30:00.123-03:30");
    } finally {
      if (before === undefined) delete process.env.TZ;
      else process.env.TZ = before;
    }
  });

  it("shows a message of several lines as one record", () => {
    const line = consoleLine(
      { ts: TS, level: "error", channel: "x", msg: `Uncaught\n#0 {main}\r\n${TS} INFO x` },
      false,
    );
    const [first, ...others] = line.trimEnd().split("\n");
    expect(first).to.match(/ ERROR x {6}Uncaught$/);
    expect(others).to.deep.equal(["    | #0 {main}", `    | ${TS} INFO x`]);
  });

  it("shows what steers terminals instead of writing it", () => {
    const text = "\u001b]0;pwned\u0007 \u009b31m \u007f \u202e \ud800 \t";
    const line = consoleLine({ ts: TS, level: "warn", msg: text, uri: "/a\nb\u001b", "k\u001b": "v" }, false);
    expect(line).to.contain("\\u001b]0;pwned\\u0007 \\u009b31m \\u007f \\u202e \\ud800 \\t");
    expect(line).to.contain('uri="/a\\nb\\u001b" k\\u001b=v\n');
  });

  it("leaves letters and symbols of all languages as they are", () => {
    for (const text of ["Grüße", "日本語", "שלום", "👩‍💻 ok", "a\u00a0b"]) expect(escapeControls(text)).to.equal(text);
  });

  it("never writes a control, and begins one line per record, whatever the texts are", () => {
    const text = fc.oneof(
      fc.string({ unit: "binary", maxLength: 60 }),
      fc
        .array(fc.constantFrom("\n", "\r", "\u001b[2J", "\u0085", "\u2028", "\v", TS, "INFO", " ", "x"))
        .map((parts) => parts.join("")),
    );
    const fields = fc.dictionary(text, fc.oneof(text, fc.integer(), fc.array(text)), { maxKeys: 4 });
    fc.assert(
      fc.property(text, text, fields, (msg, channel, rest) => {
        // As pino hands it on.
        const record = JSON.parse(JSON.stringify({ ...rest, ts: TS, level: "info", channel, msg }));
        const line = consoleLine(record, false);
        expect(line.endsWith("\n")).to.equal(true);
        expect(line).not.to.match(STEERS);
        const lines = line.slice(0, -1).split("\n");
        expect(lines.filter((one) => !one.startsWith(" "))).to.have.length(1);
        expect(lines[0]).to.match(/^\d{4}-/);
      }),
    );
  });
});
