/**
 * FastCGI 1.0 records. Head: version (1), type (1), request id (2), content length (2), padding length (1), reserved (1);
 * then content and padding.
 */
export const RecordType = {
  beginRequest: 1,
  abortRequest: 2,
  endRequest: 3,
  params: 4,
  stdin: 5,
  stdout: 6,
  stderr: 7,
  data: 8,
  getValues: 9,
  getValuesResult: 10,
  unknownType: 11,
} as const;

export const ProtocolStatus = { requestComplete: 0, cannotMultiplex: 1, overloaded: 2, unknownRole: 3 } as const;

export const RESPONDER = 1;
const VERSION = 1;
const HEAD_BYTES = 8;
const CONTENT_BYTES_MAX = 65_528;

export interface FastCgiRecord {
  readonly type: number;
  readonly requestId: number;
  /** A view that lives no longer than the call it is given to. */
  readonly content: Buffer;
}

/** Cuts a stream of bytes into records. */
export class RecordReader {
  #pieces: Buffer[] = [];
  #bytes = 0;
  /** As many are needed for the next record, as far as is known: pieces are joined once they are there. */
  #neededBytes = HEAD_BYTES;

  /** @throws Error if the bytes are no FastCGI */
  *read(chunk: Buffer): Generator<FastCgiRecord> {
    this.#pieces.push(chunk);
    this.#bytes += chunk.length;
    while (this.#bytes >= this.#neededBytes) {
      const bytes = this.#pieces.length === 1 ? this.#pieces[0]! : Buffer.concat(this.#pieces);
      this.#keep(bytes);
      if (bytes[0] !== VERSION) throw new Error(`the version of the record is ${bytes[0]}, not ${VERSION}`);
      const contentEnd = HEAD_BYTES + bytes.readUInt16BE(4);
      const end = contentEnd + bytes[6]!;
      this.#neededBytes = end;
      if (bytes.length < end) return;
      this.#neededBytes = HEAD_BYTES;
      this.#keep(bytes.subarray(end));
      yield { type: bytes[1]!, requestId: bytes.readUInt16BE(2), content: bytes.subarray(HEAD_BYTES, contentEnd) };
    }
  }

  #keep(bytes: Buffer): void {
    this.#pieces = bytes.length === 0 ? [] : [bytes];
    this.#bytes = bytes.length;
  }
}

export function encodeRecord(type: number, requestId: number, content: Uint8Array = new Uint8Array(0)): Buffer {
  const padding = -content.length & 7;
  const record = Buffer.alloc(HEAD_BYTES + content.length + padding);
  record[0] = VERSION;
  record[1] = type;
  record.writeUInt16BE(requestId, 2);
  record.writeUInt16BE(content.length, 4);
  record[6] = padding;
  record.set(content, HEAD_BYTES);
  return record;
}

/** As many records as the content needs; none for no content, which would be the stream's end. */
export function encodeStream(type: number, requestId: number, content: Uint8Array): Buffer {
  if (content.length <= CONTENT_BYTES_MAX) return encodeRecord(type, requestId, content);
  const records: Buffer[] = [];
  for (let at = 0; at < content.length; at += CONTENT_BYTES_MAX)
    records.push(encodeRecord(type, requestId, content.subarray(at, at + CONTENT_BYTES_MAX)));
  return Buffer.concat(records);
}

export function encodeEnd(requestId: number, status: number, appStatus = 0): Buffer {
  const content = Buffer.alloc(8);
  content.writeUInt32BE(appStatus, 0);
  content[4] = status;
  return encodeRecord(RecordType.endRequest, requestId, content);
}

/** Lengths below 128 take a byte, others four with the first bit set. Texts are bytes as latin1. */
export function encodePairs(pairs: Readonly<Record<string, string>>): Buffer {
  const length = (bytes: number) => {
    if (bytes < 128) return Buffer.of(bytes);
    const four = Buffer.alloc(4);
    four.writeUInt32BE((bytes | 0x8000_0000) >>> 0);
    return four;
  };
  return Buffer.concat(
    Object.entries(pairs).flatMap(([name, value]) => {
      const [one, other] = [Buffer.from(name, "latin1"), Buffer.from(value, "latin1")];
      return [length(one.length), length(other.length), one, other];
    }),
  );
}

/** @throws Error if the lengths do not fit the bytes */
export function decodePairs(bytes: Buffer): Map<string, string> {
  const pairs = new Map<string, string>();
  let at = 0;
  const take = (count: number): Buffer => {
    if (at + count > bytes.length) throw new Error("a parameter is longer than the record says");
    at += count;
    return bytes.subarray(at - count, at);
  };
  const length = (): number => {
    const first = take(1)[0]!;
    if (first < 128) return first;
    const rest = take(3);
    return ((first & 0x7f) << 24) | rest.readUIntBE(0, 3);
  };
  while (at < bytes.length) {
    const nameBytes = length();
    const valueBytes = length();
    pairs.set(take(nameBytes).toString("latin1"), take(valueBytes).toString("latin1"));
  }
  return pairs;
}
