import { expect } from "chai";
import type { UploadOptions } from "../../../src/config/options.ts";
import type { RrError } from "../../../src/errors.ts";
import { BodyMemory } from "../../../src/http/body-memory.ts";
import { FormUpload } from "../../../src/http/form-upload.ts";
import { eventually } from "../../support/eventually.ts";
import { memoryLog } from "../../support/memory-log.ts";

const OPTIONS: UploadOptions = {
  forbid: [".php"],
  allow: [],
  fileBytesMax: 1_000_000,
  oversizedFiles: "refuse",
  filesMax: 10,
  fieldsMax: 10,
  fieldBytesMax: 1_000,
};

function part(disposition: string, content: string, type?: string): string {
  return `--B\r\nContent-Disposition: form-data; ${disposition}${type ? `\r\nContent-Type: ${type}` : ""}\r\n\r\n${content}\r\n`;
}

/** A form on its way to a core that the test plays. */
class Upload {
  readonly sent = new Map<number, { text: string; last: boolean }>();
  readonly waiting: (() => void)[] = [];
  writable = true;
  opened = 0;
  wentOn = 0;
  form: { fields: unknown; uploads: Record<string, unknown> } | undefined;
  fileInputs: { files: Record<string, unknown>; texts: string[][] } | undefined;
  lost = 0;
  readonly memory = new BodyMemory({ spool: { directory: undefined, bytesMax: 0 }, log: memoryLog().log });
  failure: RrError | undefined;
  readonly upload: FormUpload;
  #changed: (() => void)[] = [];

  constructor(options = OPTIONS) {
    const call = {
      writable: true,
      whenWritable: (callback: () => void) => void this.waiting.push(callback),
      sendFile: (fileId: number, data: Uint8Array, last: boolean) => {
        const text = (this.sent.get(fileId)?.text ?? "") + Buffer.from(data);
        this.sent.set(fileId, { text, last });
        this.#change();
      },
    };
    Object.defineProperty(call, "writable", { get: () => this.writable });
    this.upload = new FormUpload("multipart/form-data; boundary=B", options, this.memory, {
      openCall: () => {
        this.opened++;
        return call;
      },
      goOn: () => {
        this.wentOn++;
        this.#change();
      },
      complete: async ({ fields, uploadsJson, fileInputsJson }) => {
        const pieces: Buffer[] = [];
        if (Symbol.asyncIterator in fields) for await (const piece of fields) pieces.push(piece);
        else pieces.push(fields);
        this.form = { fields: JSON.parse(String(Buffer.concat(pieces))), uploads: JSON.parse(uploadsJson!) };
        const inputs = fileInputsJson();
        this.fileInputs = inputs === undefined ? undefined : JSON.parse(inputs);
        this.#change();
      },
      lost: ({ count }) => {
        this.lost = count;
      },
      failed: (error) => {
        this.failure = error;
        this.#change();
      },
    });
  }

  take(text: string, last = true): boolean {
    return this.upload.take(Buffer.from(text), last);
  }

  store(fileId: number, error = 0): void {
    const sizeBytes = error === 0 ? this.sent.get(fileId)!.text.length : 0;
    this.upload.stored({ fileId, path: error === 0 ? `/spool/upload${fileId}` : "", sizeBytes, error });
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#changed.push(resolve));
  }

  #change(): void {
    for (const waiter of this.#changed.splice(0)) waiter();
  }
}

describe("uploads of a form", () => {
  const ok = (fileId: number, name: string, size: number) => {
    return { name, mime: "", size, error: 0, tmpName: `/spool/upload${fileId}` };
  };
  const none = { name: "", mime: "", size: 0, error: 4, tmpName: "" };

  it("are complete when the core has told of every file", async () => {
    const form = new Upload();
    form.take(
      `${part('name="t"', "1")}${part('name="f[]"; filename="a"', "one")}${part('name="f[]"; filename="b"', "two")}--B--`,
    );
    await form.until(() => form.sent.get(1)?.last === true && form.sent.get(2)?.last === true);
    expect([...form.sent.values()].map(({ text }) => text)).to.deep.equal(["one", "two"]);
    form.store(2);
    expect(form.form, "one is on its way").to.equal(undefined);
    form.store(1);
    expect(form.form).to.deep.equal({ fields: { t: "1" }, uploads: { f: [ok(1, "a", 3), ok(2, "b", 3)] } });
    expect(form.memory.heldBytes, "bytes that count").to.equal(0);
    expect(form.opened, "calls").to.equal(1);
  });

  it("of no file need no call, and are an empty text, and no file but for $_FILES", async () => {
    const form = new Upload();
    form.take(`${part('name="f"; filename=""', "", "application/octet-stream")}${part('name="t"', "")}--B--`);
    await form.until(() => form.form !== undefined);
    expect(form.form).to.deep.equal({ fields: { t: "", f: "" }, uploads: {} });
    expect(form.fileInputs).to.deep.equal({ files: { f: none }, texts: [["f"]] });
    expect(form.opened).to.equal(0);
  });

  it("of no file take nobody's place", async () => {
    const form = new Upload();
    const empty = (name: string) => part(`name="${name}"; filename=""`, "");
    const parts = [
      empty("l[]"),
      part('name="l[]"; filename="a"', "one"),
      empty("l[]"),
      empty("t"),
      part('name="t"', "text"),
      part('name="f"; filename="b"', "two"),
      empty("f"),
    ];
    form.take(`${parts.join("")}--B--`);
    await form.until(() => form.sent.get(2)?.last === true);
    form.store(1);
    form.store(2);
    await form.until(() => form.form !== undefined);
    expect(form.form).to.deep.equal({
      fields: { t: "text", l: ["", ""], f: "" },
      uploads: { l: [ok(1, "a", 3)], f: ok(2, "b", 3) },
    });
    expect(form.fileInputs).to.deep.equal({
      files: { l: [none, ok(1, "a", 3), none], t: none, f: ok(2, "b", 3) },
      texts: [["l", "0"], ["l", "1"], ["f"]],
    });
  });

  it("take the last file of a name that is no list", async () => {
    const form = new Upload();
    form.take(`${part('name="f"; filename="a"', "one")}${part('name="f"; filename="b"', "two")}--B--`);
    await form.until(() => form.sent.get(2)?.last === true);
    form.store(1);
    form.store(2);
    await form.until(() => form.form !== undefined);
    expect(form.form!.uploads).to.deep.equal({ f: ok(2, "b", 3) });
    expect(form.fileInputs).to.equal(undefined);
  });

  it("have the names that PHP gives them", async () => {
    const form = new Upload();
    const files = ["a b[c][]", "a b[c][]", "x[y"].map((name) => part(`name="${name}"; filename="f"`, "1"));
    const fields = [part('name="a.b[]x"', "1"), part('name="a.b[]"', "&=+%"), part('name="[x]"', "lost")];
    form.take(`${[...files, ...fields].join("")}--B--`);
    await form.until(() => form.sent.get(3)?.last === true);
    for (const fileId of [1, 2, 3]) form.store(fileId);
    await form.until(() => form.form !== undefined);
    expect(form.form).to.deep.equal({
      fields: { a_b: ["1", "&=+%"] },
      uploads: { a_b: { c: [ok(1, "f", 1), ok(2, "f", 1)] }, x_y: ok(3, "f", 1) },
    });
    expect(form.lost).to.equal(1);
  });

  it("that are too large are refused with the form, or have error 1", async () => {
    const body = `${part('name="f"; filename="a"', "x".repeat(50))}${part('name="t"', "text")}--B--`;
    const refused = new Upload({ ...OPTIONS, fileBytesMax: 40 });
    refused.take(body);
    await refused.until(() => refused.failure !== undefined);
    expect(refused.failure!.message).to.match(/file "a".*40 bytes.*max_file_size/);
    const told = new Upload({ ...OPTIONS, fileBytesMax: 40, oversizedFiles: "error" });
    told.take(body);
    await told.until(() => told.sent.get(1)?.last === true);
    told.store(1);
    await told.until(() => told.form !== undefined);
    expect(told.form).to.deep.equal({
      fields: { t: "text" },
      uploads: { f: { name: "a", mime: "", size: 0, error: 1, tmpName: "" } },
    });
  });

  it("of many or large fields wait for their turn, and leave nothing in memory", async () => {
    const form = new Upload({ ...OPTIONS, fieldsMax: 10_000, fieldBytesMax: 1_000_000 });
    const value = "ä%&\r\n".repeat(50_000);
    const fields = Array.from({ length: 10 }, (_, at) => part(`name="f${at}"`, value));
    const body = Buffer.from(`${fields.join("")}--B--`);
    for (let at = 0; at < body.length; at += 65_536) {
      form.upload.take(body.subarray(at, at + 65_536), at + 65_536 >= body.length);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await form.until(() => form.form !== undefined);
    expect(Object.keys(form.form!.fields as object)).to.have.length(10);
    expect(Object.values(form.form!.fields as object).every((text) => text === value)).to.equal(true);
    await eventually("all was given back", () => form.memory.heldBytes === 0 && form.memory.spool.files === 0);
    await form.memory.close();
  });

  it("have texts in the charset that they name", async () => {
    const form = new Upload();
    const bytes = Buffer.from(`${part('name="t"', "Zo\xeb", "text/plain; charset=iso-8859-1")}--B--`, "latin1");
    form.upload.take(bytes, true);
    await form.until(() => form.form !== undefined);
    expect(form.form!.fields).to.deep.equal({ t: "Zo\u00eb" });
  });

  it("of a forbidden extension do not travel", async () => {
    const form = new Upload();
    form.take(`${part('name="f"; filename="a\u0007.PhP. "', "<?php")}--B--`);
    await form.until(() => form.form !== undefined);
    expect(form.form!.uploads).to.deep.equal({
      f: { name: "a.PhP. ", mime: "", size: 0, error: 8, tmpName: "" },
    });
    expect(form.opened).to.equal(0);
  });

  it("that the core cannot keep are told with its error, and the rest of them stays here", async () => {
    const form = new Upload();
    form.take(`--B\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\n${"x".repeat(1000)}`, false);
    await form.until(() => form.sent.size === 1);
    form.store(1, 7);
    const before = form.sent.get(1)!.text.length;
    form.take(`${"y".repeat(100_000)}\r\n--B--`);
    await form.until(() => form.form !== undefined);
    expect(form.sent.get(1)!.text).to.have.length(before);
    expect(form.form!.uploads).to.deep.equal({ f: { name: "a", mime: "", size: 0, error: 7, tmpName: "" } });
  });

  it("wait for a core that is slow", async () => {
    const form = new Upload();
    form.writable = false;
    form.take(`--B\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\n${"x".repeat(1000)}`, false);
    await form.until(() => form.sent.size === 1);
    let goOn = true;
    let fedBytes = 0;
    while (goOn && fedBytes < 10_000_000) {
      goOn = form.take("x".repeat(50_000), false);
      fedBytes += 50_000;
    }
    expect(goOn, "the client is held up").to.equal(false);
    expect(fedBytes, "bytes that wait in memory").to.be.at.most(1_000_000);
    form.writable = true;
    for (const resume of form.waiting.splice(0)) resume();
    await form.until(() => form.wentOn > 0);
  });

  it("go on waiting when others were faster, and go on in the end", async () => {
    const form = new Upload();
    form.writable = false;
    expect(form.take(part('name="f"; filename="a"', "one"), false)).to.equal(false);
    const [told] = form.waiting.splice(0);
    told!();
    expect(form.wentOn, "while there is no room again").to.equal(0);
    // What the core says of a file asks too, and must not add to what waits.
    form.store(1);
    expect(form.waiting.length, "asked to be told").to.equal(1);
    form.writable = true;
    form.waiting.splice(0)[0]!();
    expect(form.wentOn).to.equal(1);
    form.take("--B--");
    await form.until(() => form.form !== undefined);
  });

  it("go to the core a few at a time, however many come at once", async () => {
    const form = new Upload({ ...OPTIONS, filesMax: 300 });
    const count = 200;
    // Every third one is empty.
    const parts = Array.from({ length: count }, (_, at) =>
      part(`name="f[]"; filename="${at}"`, at % 3 === 0 ? "" : `text ${at}`),
    );
    expect(form.take(`${parts.join("")}--B--`), "the client is held up").to.equal(false);
    const stored = new Set<number>();
    const next = () => [...form.sent].find(([fileId, { last }]) => last && !stored.has(fileId))?.[0];
    while (stored.size < count) {
      await form.until(() => next() !== undefined);
      expect(form.sent.size - stored.size, "files under way").to.be.at.most(48);
      const fileId = next()!;
      stored.add(fileId);
      form.store(fileId);
    }
    await form.until(() => form.form !== undefined);
    expect(form.wentOn).to.be.above(0);
    const files = form.form!.uploads.f as { name: string; size: number }[];
    expect(files.map(({ name }) => Number(name))).to.deep.equal(parts.map((_, at) => at));
    expect(form.sent.get(200)!.text).to.equal("text 199");
  });

  for (const [what, name] of [
    ["fields", 'name="a"'],
    ["files", 'name="a"; filename="x.txt"'],
  ] as const)
    it(`with ${what} of too many levels are refused`, async () => {
      const deep = (parts: number) => part(name.replace('"a"', `"a${"[b]".repeat(parts - 1)}"`), "x");
      const most = new Upload();
      most.take(`${deep(127)}--B--`);
      if (what === "files") {
        await most.until(() => most.sent.get(1)?.last === true);
        most.store(1);
      }
      await most.until(() => most.form !== undefined);
      const over = new Upload();
      over.take(`${deep(128)}--B--`);
      if (what === "files") {
        await over.until(() => over.sent.get(1)?.last === true);
        over.store(1);
      }
      await over.until(() => over.failure !== undefined);
      expect(over.failure).to.include({ reason: "INVALID_REQUEST" });
      expect(over.failure!.message).to.contain("127 parts");
    });

  it("give back what counted for them, however they end", async () => {
    const body = `${part('name="f"; filename="a"', "one")}${part('name="t"', "x".repeat(500))}`;
    const refused = new Upload();
    refused.take(`${body}--B`);
    await refused.until(() => refused.failure !== undefined);
    const left = new Upload();
    left.take(body, false);
    expect(left.memory.heldBytes).to.be.above(500);
    left.upload.stop();
    left.upload.stop();
    expect([refused.memory.heldBytes, left.memory.heldBytes]).to.deep.equal([0, 0]);
  });

  it("that nobody wants any more tell nothing", async () => {
    const form = new Upload();
    form.take(`${part('name="f"; filename="a"', "one")}--B--`);
    await form.until(() => form.sent.get(1)?.last === true);
    form.upload.stop();
    form.store(1);
    expect([form.form, form.failure]).to.deep.equal([undefined, undefined]);
  });
});
