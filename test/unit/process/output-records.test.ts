import { expect } from "chai";
import { levelOf } from "../../../src/process/output-level.ts";
import { OutputRecords } from "../../../src/process/output-records.ts";
import { ManualClock } from "../../support/manual-clock.ts";

const LEVELS: readonly (readonly [line: string, level: string | undefined])[] = [
  ["PHP Fatal error:  Uncaught RuntimeException: it broke in /app/a.php:3", "error"],
  ["Fatal error: Allowed memory size of 134217728 bytes exhausted (tried to allocate 20480 bytes) in a.php", "error"],
  ["PHP Parse error:  syntax error, unexpected end of file in /app/a.php on line 9", "error"],
  ["[31-Jan-2026 12:00:00 UTC] PHP Fatal error:  it broke", "error"],
  ["PHP Warning:  Undefined variable $x in /app/a.php on line 3", "warn"],
  ["Warning: Undefined variable $x in /app/a.php on line 3", "warn"],
  ["PHP Notice:  it is odd in /app/a.php on line 3", "warn"],
  ["PHP Deprecated:  it is old in /app/a.php on line 3", "info"],
  ["Uncaught in the handler of a request: RuntimeException: app broke", "error"],
  ["RuntimeException: it broke in /app/a.php:3", "error"],
  ["App\\Model\\NotFoundException: nothing in /app/a.php:3", "error"],
  ["TypeError(42): it broke", "error"],
  ["[2026-01-31 12:00:00] production.ERROR: it broke", "error"],
  ["[2026-01-31T12:00:00.000000+00:00] app.CRITICAL: it broke [] []", "error"],
  ["[2026-01-31 12:00:00] local.WARNING: it is odd", "warn"],
  ["[2026-01-31 12:00:00] local.NOTICE: it is so", "info"],
  ["[2026-01-31 12:00:00] local.DEBUG: it is so", "debug"],
  ['{"message":"it broke","context":{},"level":400,"level_name":"ERROR","channel":"app"}', "error"],
  ['{"message":"fine","level":200,"level_name":"INFO"}', "info"],
  ["2026-01-31T12:00:00+00:00 [critical] Uncaught Exception: it broke", "error"],
  ["[warning] it is odd", "warn"],
  ["it works", undefined],
  ["Errors: none", undefined],
  ["there was no Fatal error: really", undefined],
  ["{}", undefined],
  ["", undefined],
];

describe("Levels of output", () => {
  for (const [line, level] of LEVELS)
    it(`${level ?? "nothing said"}: ${line.slice(0, 60)}`, () => expect(levelOf(line)).to.equal(level));

  it("costs little, whatever the line is", () => {
    const lines = ["\\".repeat(16_384), "a".repeat(16_384), "{".repeat(16_384), "[".repeat(16_384), "a.".repeat(8_192)];
    const startMs = performance.now();
    for (let count = 0; count < 20; count++) for (const line of lines) levelOf(line);
    expect(performance.now() - startMs).to.be.lessThan(1_000);
  });
});

describe("Records of output", () => {
  interface Told {
    text: string;
    level: string;
    owner: string;
  }
  let clock: ManualClock;
  let told: Told[];
  let records: OutputRecords<string>;
  beforeEach(() => {
    clock = new ManualClock();
    told = [];
    records = new OutputRecords<string>(clock, ({ text, level }, owner) => told.push({ text, level, owner }));
  });

  async function chunk(text: string, owner = "r1"): Promise<void> {
    for (const line of text.split("\n")) if (line !== "") records.line(line, owner);
    await clock.advanceAsync(0);
  }

  const TRACES: Readonly<Record<string, string>> = {
    "of PHP": `PHP Fatal error:  Uncaught RuntimeException: it broke in /app/a.php:3
Stack trace:
#0 /app/b.php(7): it()
#1 {main}

Next LogicException: because of that in /app/c.php:5
Stack trace:
#0 {main}
  thrown in /app/c.php on line 5`,
    "with a message of several lines": `Uncaught in the handler of a request: RuntimeException: SQL failed:
SELECT *
FROM users in /app/a.php:3
Stack trace:
#0 {main}`,
    "of Laravel": `[2026-01-31 12:00:00] production.ERROR: it broke {"exception":"[object] (RuntimeException(code: 0): it broke at /app/a.php:3)
[stacktrace]
#0 /app/b.php(7): it()
#1 {main}

[previous exception] [object] (PDOException(code: 1): no at /app/c.php:5)
[stacktrace]
#0 {main}
"} `,
  };
  for (const [name, trace] of Object.entries(TRACES))
    it(`are one for a stack trace ${name}, also when it is read in pieces`, async () => {
      const whole = trace.split("\n").filter((line) => line !== "");
      await chunk(`${trace}\nthe next line`);
      expect(told.map(({ text }) => text)).to.deep.equal([whole.join("\n"), "the next line"]);
      expect(told.map(({ level }) => level)).to.deep.equal(["error", "info"]);
      told.length = 0;
      // The message is in one piece with the beginning; of the trace anything may come later.
      const message = whole.findIndex((line) => /^(Stack trace|\[stacktrace)/.test(line));
      await chunk(whole.slice(0, message).join("\n"));
      for (const line of whole.slice(message)) await chunk(line);
      expect(told).to.deep.equal([]);
      await clock.advanceAsync(100);
      expect(told.map(({ text }) => text)).to.deep.equal([whole.join("\n")]);
    });

  it("are one for a dumped value, and one each for lines that stand alone", async () => {
    await chunk("array(1) {\n  [0]=>\n  int(1)\n}\none\ntwo");
    expect(told.map(({ text }) => text)).to.deep.equal(["array(1) {\n  [0]=>\n  int(1)\n}", "one", "two"]);
  });

  it("never hold lines of two calls", async () => {
    await chunk("Uncaught RuntimeException: it broke in a.php:3", "r1");
    await chunk("#0 {main}", "r2");
    records.flush();
    expect(told.map(({ text, owner }) => [text, owner])).to.deep.equal([
      ["Uncaught RuntimeException: it broke in a.php:3", "r1"],
      ["#0 {main}", "r2"],
    ]);
  });

  it("are two for two failures in a row", async () => {
    await chunk("PHP Warning:  one in a.php on line 3\nPHP Fatal error:  two in a.php on line 4");
    await clock.advanceAsync(100);
    expect(told.map(({ level }) => level)).to.deep.equal(["warn", "error"]);
  });

  it("are bounded, and count what they leave out", async () => {
    await chunk(`Uncaught RuntimeException: it broke\n${"#1 /app/a.php(3): it()\n".repeat(5_000)}`);
    await clock.advanceAsync(100);
    expect(told).to.have.length(1);
    expect(told[0]!.text.split("\n")).to.have.length(201);
    expect(told[0]!.text).to.match(/… \(4801 more lines\)$/);
  });

  it("are handed on at the end", async () => {
    await chunk("Uncaught RuntimeException: it broke");
    expect(told).to.deep.equal([]);
    records.flush();
    records.flush();
    expect(told).to.have.length(1);
    expect(clock.timers).to.equal(0);
  });
});
