import type { ReplyPart } from "../worker/execution.ts";

/** Length of the context, length of the body, codec, whether more parts follow. */
const HEAD_BYTES = 4 + 4 + 1 + 1;
const COPIED_BYTES = 4096;
const NO_BYTES: Buffer = Buffer.alloc(0);

/** A part of a reply as bytes, for where only bytes can be kept. */
export function recordOf({ context, body, codec, more }: ReplyPart): Buffer[] {
  const head = Buffer.allocUnsafe(HEAD_BYTES);
  head.writeUInt32LE(context.length, 0);
  head.writeUInt32LE(body.length, 4);
  head[8] = codec;
  head[9] = more ? 1 : 0;
  // A small part is no reason to keep the chunk that it is a view on.
  return context.length + body.length < COPIED_BYTES ? [Buffer.concat([head, context, body])] : [head, context, body];
}

/** Bytes of records, cut anywhere, to parts again: bodies are told as they come. */
export class RecordReader {
  #chunks: Buffer[] = [];
  #bytes = 0;
  /** Needed before anything can be told. */
  #neededBytes = HEAD_BYTES;
  #bodyMissingBytes = 0;
  #codec = 0;
  #more = false;

  /** Bytes that must come before the next part can be told. */
  get missingBytes(): number {
    return this.#bodyMissingBytes > 0 ? 1 : this.#neededBytes - this.#bytes;
  }

  push(chunk: Buffer): ReplyPart[] {
    const parts: ReplyPart[] = [];
    let rest = chunk;
    while (rest.length > 0) {
      if (this.#bodyMissingBytes > 0) {
        const body = rest.subarray(0, this.#bodyMissingBytes);
        rest = rest.subarray(body.length);
        this.#bodyMissingBytes -= body.length;
        parts.push(this.#part(NO_BYTES, body));
        continue;
      }
      const taken = rest.subarray(0, this.#neededBytes - this.#bytes);
      rest = rest.subarray(taken.length);
      this.#chunks.push(taken);
      this.#bytes += taken.length;
      if (this.#bytes < this.#neededBytes) break;
      const context = this.#head();
      if (context === undefined) continue;
      const body = rest.subarray(0, this.#bodyMissingBytes);
      rest = rest.subarray(body.length);
      this.#bodyMissingBytes -= body.length;
      parts.push(this.#part(context, body));
    }
    return parts;
  }

  /** The context, if head and context are there; else it is known how much is needed. */
  #head(): Buffer | undefined {
    const bytes = this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks);
    const contextBytes = bytes.readUInt32LE(0);
    if (bytes.length < HEAD_BYTES + contextBytes) {
      this.#chunks = [bytes];
      this.#neededBytes = HEAD_BYTES + contextBytes;
      return undefined;
    }
    this.#bodyMissingBytes = bytes.readUInt32LE(4);
    this.#codec = bytes[8]!;
    this.#more = bytes[9] === 1;
    this.#chunks = [];
    this.#bytes = 0;
    this.#neededBytes = HEAD_BYTES;
    return bytes.subarray(HEAD_BYTES);
  }

  #part(context: Buffer, body: Buffer): ReplyPart {
    return { context, body, codec: this.#codec, more: this.#more || this.#bodyMissingBytes > 0 };
  }
}
