import { connect, type NetConnectOpts, type Socket } from "node:net";
import {
  encodePairs,
  encodeRecord,
  encodeStream,
  type FastCgiRecord,
  RecordReader,
  RecordType,
} from "../../src/http/fastcgi/records.ts";

const RESPONDER = [0, 1];

/** A connection to a FastCGI server as a web server has it. */
export class FastCgiClient {
  readonly socket: Socket;
  readonly records: FastCgiRecord[] = [];
  readonly closed: Promise<void>;
  readonly #reader = new RecordReader();
  #waiters: (() => void)[] = [];

  constructor(target: NetConnectOpts) {
    this.socket = connect(target);
    this.socket.on("data", (chunk: Buffer) => {
      for (const record of this.#reader.read(chunk))
        this.records.push({ ...record, content: Buffer.from(record.content) });
      this.#wake();
    });
    this.socket.on("error", () => {});
    this.closed = new Promise((resolve) =>
      this.socket.once("close", () => {
        resolve();
        this.#wake();
      }),
    );
  }

  begin(id: number, { keep = true, role = RESPONDER } = {}): this {
    this.socket.write(encodeRecord(RecordType.beginRequest, id, Buffer.of(...role, keep ? 1 : 0, 0, 0, 0, 0, 0)));
    return this;
  }

  params(id: number, params: Record<string, string>): this {
    this.socket.write(encodeStream(RecordType.params, id, encodePairs(params)));
    this.socket.write(encodeRecord(RecordType.params, id));
    return this;
  }

  stdin(id: number, body: Buffer): this {
    if (body.length > 0) this.socket.write(encodeStream(RecordType.stdin, id, body));
    this.socket.write(encodeRecord(RecordType.stdin, id));
    return this;
  }

  /** A whole request: what its standard output was, and the protocol's status. */
  async request(id: number, params: Record<string, string>, body = Buffer.alloc(0), keep = true) {
    this.begin(id, { keep }).params(id, params).stdin(id, body);
    return this.answer(id);
  }

  async answer(id: number): Promise<{ head: string; body: Buffer; protocolStatus: number }> {
    const isEnd = ({ type, requestId }: FastCgiRecord) => type === RecordType.endRequest && requestId === id;
    while (!this.records.some(isEnd)) {
      if (this.socket.closed) throw new Error("closed before the request was over");
      await new Promise<void>((resolve) => this.#waiters.push(resolve));
    }
    const own = this.records.filter(({ requestId }) => requestId === id);
    const output = Buffer.concat(own.filter(({ type }) => type === RecordType.stdout).map(({ content }) => content));
    const end = own.find(isEnd)!;
    this.records.splice(0);
    const split = output.indexOf("\r\n\r\n");
    const head = output.subarray(0, Math.max(0, split)).toString("latin1");
    return { head, body: output.subarray(split + 4), protocolStatus: end.content[4]! };
  }

  /** Resolves when so many records have come, of whatever they are. */
  async counted(records: number): Promise<void> {
    while (this.records.length < records) {
      if (this.socket.closed) throw new Error(`closed after ${this.records.length} records`);
      await new Promise<void>((resolve) => this.#waiters.push(resolve));
    }
  }

  #wake(): void {
    for (const waiter of this.#waiters.splice(0)) waiter();
  }
}
