import { readFileSync } from "node:fs";

/** Bytes that PHP libraries and the server exchange, and what they mean. */
export interface Vector {
  readonly name: string;
  readonly description: string;
  readonly direction: "either" | "server->worker" | "worker->server";
  readonly hex: string;
  readonly decoded: unknown;
}

/** What a vector of one current frame decodes to. */
export interface DecodedFrame {
  readonly flags: string;
  readonly payload_length: number;
  readonly byte10: string;
  readonly options: readonly number[];
  /** With exactly one option. */
  readonly context?: string;
  readonly body?: string;
  /** With any other number of options. */
  readonly payload?: string;
}

export interface DecodedPacket {
  readonly flags: string;
  readonly size: number;
  readonly data: string;
}

const FILE = new URL("../fixtures/vectors.json", import.meta.url);
const vectors = (JSON.parse(readFileSync(FILE, "utf8")) as { vectors: Vector[] }).vectors;

export function vectorsNamed(pattern: RegExp): Vector[] {
  return vectors.filter(({ name }) => pattern.test(name));
}

export function vector(name: string): Vector {
  const found = vectors.find((one) => one.name === name);
  if (!found) throw new Error(`there is no vector "${name}" in ${FILE.pathname}`);
  return found;
}

export function bytesOf({ hex }: Vector): Buffer {
  return Buffer.from(hex, "hex");
}
