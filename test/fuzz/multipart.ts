import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { Agent } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fieldPath } from "../../src/http/form-names.ts";
import { MultipartReader } from "../../src/http/multipart.ts";
import { eventually } from "../support/eventually.ts";
import { send } from "../support/http-load.ts";
import { MULTIPART, multipart } from "../support/multipart.ts";
import { Budget, type Fuzz } from "./fuzzer.ts";
import { mutate, Random } from "./random.ts";
import { FuzzTarget } from "./target.ts";

const TYPE = "multipart/form-data; boundary=B";
const DISPOSITION = "Content-Disposition: form-data; name=";
const SEEDS: readonly string[] = [
  `--B\r\n${DISPOSITION}"a"\r\n\r\n1\r\n--B--\r\n`,
  `--B\r\n${DISPOSITION}"a[b][]"\r\n\r\n1\r\n--B\r\n${DISPOSITION}"a[b][]"\r\n\r\n2\r\n--B--\r\n`,
  `--B\r\n${DISPOSITION}"f"; filename="a.txt"\r\nContent-Type: text/plain\r\n\r\ntext\r\n--B--\r\n`,
  `--B\r\n${DISPOSITION}"f[]"; filename="a.php"\r\n\r\n<?php\r\n--B\r\n${DISPOSITION}"f[]"; filename=""\r\n\r\n\r\n--B--`,
  `--B\r\n${DISPOSITION}"f"; filename*=UTF-8''%e2%82%ac.txt\r\n\r\n\r\n--B\r\nX-Other: x\r\n\r\nskipped\r\n--B--\r\n`,
  `text before\r\n--B \t\r\n${DISPOSITION}a; filename="C:\\x\\y.txt"\r\n\r\n\r\n--Bx\r\n--B-\r\n--B--text behind`,
  `--B\r\ncontent-disposition:form-data;\r\n name="folded"\r\nContent-Type: text/plain; charset=iso-8859-1\r\n\r\n\xe9\r\n--B--\r\n`,
  `--B\r\n\r\n\r\n--B\r\n\r\n--B\r\n${DISPOSITION}"x"\r\n\r\n--B--`,
  `--B\r\n${DISPOSITION}"${"a".repeat(100)}[${"b][".repeat(20)}"; filename="${"c".repeat(200)}"\r\n\r\n${"\r\n--".repeat(50)}\r\n--B--\r\n`,
  "--B--\r\n",
];
const CONNECTIONS = 8;
/** One in so many inputs is a long one. */
const LONG_ONE_IN = 300;
const LONG_BYTES = 300_000;
const HONEST_PAUSE_MS = 20;
const LIMITS = { filesMax: 20, fieldsMax: 100, fieldBytesMax: 50_000 };

function input(random: Random): Buffer {
  const seed = Buffer.from(random.pick(SEEDS), "latin1");
  if (random.oneIn(10)) return seed;
  const changed = random.oneIn(4) ? Buffer.concat([mutate(seed, random), mutate(seed, random)]) : mutate(seed, random);
  if (!random.oneIn(LONG_ONE_IN)) return changed;
  const filler = Buffer.alloc(
    LONG_BYTES,
    random.pick(["a", "\r\n--B\r\n", "\r\n--B", "X: y\r\n", "\r", "[", "%&=+", "\xff"]),
    "latin1",
  );
  const at = random.below(changed.length + 1);
  return Buffer.concat([changed.subarray(0, at), filler, changed.subarray(at)]);
}

/** What a reader tells of a form that comes in pieces of these lengths, the last one over and over. */
function told(form: Buffer, lengths: readonly number[]): string {
  const events: string[] = [];
  const taker = (what: string) => {
    let text = "";
    return {
      take: (data: Buffer) => {
        text += data.toString("latin1");
      },
      end: () => void events.push(`${what}=${text}`),
    };
  };
  const reader = new MultipartReader(TYPE, LIMITS, {
    field: (name, charset) => taker(`field ${name} ${charset}`),
    noFile: (name) => events.push(`none ${name}`),
    file: (name, fileName, mime) => taker(`file ${name} ${fileName} ${mime}`),
    finished: () => events.push("finished"),
    failed: ({ reason }) => events.push(`failed ${reason}`),
  });
  let piece = 0;
  for (let at = 0; at < form.length; ) {
    const length = lengths[Math.min(piece++, lengths.length - 1)]!;
    reader.write(form.subarray(at, at + length));
    at += length;
  }
  reader.end();
  return events.join("\n");
}

/** Whether a form that was read so is taken: names may have too many parts, which the reader leaves to others. */
function isTaken(whole: string): boolean {
  if (!whole.endsWith("finished")) return false;
  const names = [...whole.matchAll(/^(?:field|file|none) (\S*)/gm)].map(([, name]) => name!);
  return names.every((name) => pathOf(name) !== "refused");
}

function pathOf(name: string): unknown {
  try {
    return fieldPath(name);
  } catch {
    return "refused";
  }
}

/** Bodies of multipart forms that are changed a little or a lot, to the reader alone and to a server. */
export const fuzz: Fuzz = async (options) => {
  const budget = new Budget(options);
  const random = new Random(options.seed);
  const spool = mkdtempSync(join(tmpdir(), "rr-fuzz-forms-"));
  const uploads = { dir: spool, max_files: 20, max_fields: 100, max_field_size: "50KB" };
  const target = await FuzzTarget.start(budget, { script: "forms.php", http: { uploads }, pool: { num_workers: 2 } });
  const found = (problem: string, form: Buffer) =>
    target.found(`seed ${options.seed}: ${problem}: ${form.toString("hex").slice(0, 4_000)}`);
  const counts = { answers_200: 0, answers_400: 0, answers_413: 0, honest_uploads: 0 };
  const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });
  const post = (body: Buffer, type: string) =>
    send(`${target.server.httpUrl}/`, { method: "POST", body, headers: { "content-type": type }, agent });

  const stranger = async () => {
    while (budget.left) {
      const form = input(random);
      budget.spend();
      const whole = told(form, [form.length + 1]);
      const pieces = told(form, [1 + random.below(40), 1 + random.below(40), 1 + random.below(form.length + 1)]);
      if (whole !== pieces) found(`in pieces it is read as ${pieces}, whole as ${whole}`, form);
      const { status } = await post(form, TYPE);
      if (status === 200) counts.answers_200++;
      else if (status === 400) counts.answers_400++;
      else if (status === 413) counts.answers_413++;
      else found(`the answer is ${status}`, form);
      // An empty body is a form without parts, which the reader never sees.
      if (form.length > 0 && (status === 200) !== isTaken(whole)) found(`${status} for ${whole}`, form);
    }
  };
  const honest = async () => {
    const own = new Random(options.seed + 1);
    while (budget.left) {
      const content = own.bytes(own.below(20_000));
      const text = own.bytes(own.below(200)).toString("hex");
      const { status, body } = await post(
        multipart({ name: "text", content: text }, { name: "f[]", fileName: "x.bin", content }),
        MULTIPART,
      );
      const expected = { form: { text }, files: { f: [createHash("md5").update(content).digest("hex")] } };
      if (status !== 200 || body !== JSON.stringify(expected))
        target.found(`seed ${options.seed}: an honest upload came as ${status} ${body.slice(0, 200)}`);
      counts.honest_uploads++;
      await new Promise((resolve) => setTimeout(resolve, HONEST_PAUSE_MS));
    }
  };
  await Promise.all([honest(), ...Array.from({ length: CONNECTIONS - 1 }, stranger)]);
  agent.destroy();
  const isEmpty = () =>
    !readdirSync(spool, { recursive: true, encoding: "utf8" }).some((name) => /upload\w{24}$/.test(name));
  await eventually("no file was left", isEmpty).catch(() => target.found("files of uploads were left"));
  const { findings, figures } = await target.end();
  rmSync(spool, { recursive: true });
  return { inputs: budget.used, seconds: budget.seconds, findings, figures: { ...counts, ...figures } };
};
