import { expect } from "chai";
import { parse, parseAllDocuments } from "yaml";
import { explainFailure } from "../../../cli/failure.ts";
import type { Document, Feed } from "../../../cli/output/output.ts";
import { drawnOver, printOutput } from "../../../cli/output/printer.ts";
import { RrError } from "../../../src/errors.ts";
import { memoryTerminal } from "./memory-terminal.ts";

describe("cli printer", () => {
  const data = { workers: [{ pid: 7, pool: "http", note: "yes: #1" }] };
  const document: Document = { data, text: () => "PID\n7\n" };
  const feed = (redraw: boolean): Feed => ({
    documents: (async function* () {
      yield document;
      yield document;
    })(),
    redraw,
  });

  it("prints text, JSON or YAML of one document", async () => {
    const table = memoryTerminal();
    const json = memoryTerminal();
    const yaml = memoryTerminal();
    expect(await printOutput(document, "table", table)).to.equal(0);
    await printOutput(document, "json", json);
    await printOutput(document, "yaml", yaml);
    expect(table.out).to.equal("PID\n7\n");
    expect(JSON.parse(json.out)).to.deep.equal(data);
    expect(json.out.split("\n").length).to.be.greaterThan(2);
    expect(parse(yaml.out)).to.deep.equal(data);
  });

  it("prints bytes as they are", async () => {
    const written: (string | Uint8Array)[] = [];
    const terminal = { ...memoryTerminal(), write: async (content: string | Uint8Array) => void written.push(content) };
    const bytes = Uint8Array.from([0, 255, 27, 10]);
    await printOutput({ data: null, text: () => bytes }, "table", terminal);
    expect(written).to.deep.equal([bytes]);
  });

  it("prints a feed as one JSON object a line, or YAML documents", async () => {
    const json = memoryTerminal();
    await printOutput(feed(true), "json", json);
    const lines = json.out.trimEnd().split("\n");
    expect(lines.map((line) => JSON.parse(line))).to.deep.equal([data, data]);

    const yaml = memoryTerminal();
    await printOutput(feed(true), "yaml", yaml);
    expect(parseAllDocuments(yaml.out)).to.have.length(2);
  });

  it("draws a watched table over itself on a terminal, and below itself elsewhere", async () => {
    const terminal = memoryTerminal({ columns: 80, rows: 24 });
    await printOutput(feed(true), "table", terminal);
    expect(terminal.out).to.equal("\x1b[2J\x1b[HPID\x1b[K\n7\x1b[K\n\x1b[J\x1b[HPID\x1b[K\n7\x1b[K\n\x1b[J");

    const file = memoryTerminal();
    await printOutput(feed(true), "table", file);
    expect(file.out).to.equal("PID\n7\n\nPID\n7\n");
  });

  it("draws no more lines than the screen has, so that it does not scroll", () => {
    expect(drawnOver("1\n2\n3\n4\n", 3, false)).to.equal("\x1b[H1\x1b[K\n2\x1b[K\n\x1b[J");
  });

  it("tells partial failures on stderr and by the exit code", async () => {
    const terminal = memoryTerminal();
    const failures = [explainFailure(new RrError("POOL_NOT_FOUND", 'there is no pool "x"'))];
    expect(await printOutput({ ...document, failures }, "table", terminal)).to.equal(4);
    expect(terminal.out).to.equal("PID\n7\n");
    expect(terminal.err).to.contain('error: there is no pool "x"');
  });
});
