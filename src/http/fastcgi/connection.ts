import type { Socket } from "node:net";
import type { Log } from "../../log.ts";
import { LINGER_MS } from "../error-response.ts";
import type { StreamHandler } from "../listener.ts";
import { StreamRequest, type StreamRequestHead } from "../stream-request.ts";
import { FastCgiResponse } from "./fastcgi-response.ts";
import {
  decodePairs,
  encodeEnd,
  encodePairs,
  encodeRecord,
  type FastCgiRecord,
  ProtocolStatus,
  RESPONDER,
  RecordReader,
  RecordType,
} from "./records.ts";
import { requestHeadOf } from "./request-head.ts";

export interface FastCgiLimits {
  /** Of the parameters of a request. */
  readonly maxHeaderBytes: number;
  readonly headerTimeoutMs: number;
  readonly keepAliveTimeoutMs: number;
}

const KEEP_CONNECTION = 1;
/** What a server is asked and answers; it may have one request at a time on a connection. */
const VALUES: ReadonlyMap<string, string> = new Map([["FCGI_MPXS_CONNS", "0"]]);

interface Current {
  readonly id: number;
  readonly keepConnection: boolean;
  params: Buffer[];
  paramsBytes: number;
  /** Set when all parameters are there. */
  head: StreamRequestHead | undefined;
  /** What CONTENT_LENGTH says; undefined: the body is what comes. */
  announcedBytes: number | undefined;
  bodyBytes: number;
  request: StreamRequest | undefined;
  response: FastCgiResponse | undefined;
}

/**
 * One connection of a web server. It carries one request at a time; a second one at the same time is refused, as the
 * protocol allows.
 *
 * idle --begin, params--> head --empty params--> serving --response complete--> idle | closed
 */
export class FastCgiConnection {
  readonly #socket: Socket;
  readonly #limits: FastCgiLimits;
  readonly #handle: StreamHandler;
  readonly #log: Log;
  readonly #reader = new RecordReader();
  #current: Current | undefined;
  #draining = false;
  #ended = false;
  /** Answers to what was read last: they leave in one write. */
  #answers: Buffer[] = [];
  /** The web server does not read what it is answered: nothing more of it is read. */
  #isCongested = false;

  constructor(socket: Socket, limits: FastCgiLimits, handle: StreamHandler, log: Log) {
    this.#socket = socket;
    this.#limits = limits;
    this.#handle = handle;
    this.#log = log;
    socket.setTimeout(limits.headerTimeoutMs, () => this.#timedOut());
    socket.on("data", (chunk: Buffer) => this.#take(chunk));
    socket.on("drain", () => this.#drained());
    socket.on("error", () => {});
    socket.once("close", () => this.#gone());
  }

  get idle(): boolean {
    return this.#current === undefined;
  }

  /** Ends after the response under way. */
  drain(): void {
    this.#draining = true;
    if (this.idle) this.#end();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  /** No more is written or read; a peer that does not close its side either is not waited for. */
  #end(): void {
    this.#sendAnswers();
    this.#ended = true;
    this.#socket.end();
    const timer = setTimeout(() => this.#socket.destroy(), LINGER_MS);
    this.#socket.once("close", () => clearTimeout(timer));
  }

  #take(chunk: Buffer): void {
    if (this.#ended) return;
    try {
      for (const record of this.#reader.read(chunk)) this.#record(record);
    } catch (thrown) {
      this.#log.warn({ event: "fastcgi.bad_request" }, `FastCGI connection closed: ${(thrown as Error).message}`);
      this.#socket.destroy();
    }
    this.#sendAnswers();
    if (!this.#socket.writableNeedDrain) return;
    this.#isCongested = true;
    this.#socket.pause();
  }

  #sendAnswers(): void {
    if (this.#answers.length === 0) return;
    const answers = this.#answers.splice(0);
    if (this.#socket.writable) this.#socket.write(Buffer.concat(answers));
  }

  #drained(): void {
    if (!this.#isCongested) return;
    this.#isCongested = false;
    this.#socket.resume();
  }

  /** A reader has room for more of a body, or a request is over. */
  #resume(): void {
    if (!this.#isCongested) this.#socket.resume();
  }

  #record({ type, requestId, content }: FastCgiRecord): void {
    if (requestId === 0) return this.#management(type, content);
    if (type === RecordType.beginRequest) return this.#begin(requestId, content);
    const current = this.#current;
    // What still comes of a request that was refused or is over.
    if (current === undefined || current.id !== requestId) return;
    if (type === RecordType.params) this.#params(current, content);
    else if (type === RecordType.stdin) this.#stdin(current, content);
    else if (type === RecordType.abortRequest) this.#abort(current);
  }

  #begin(id: number, content: Buffer): void {
    if (content.length < 8) throw new Error("a begin record is too short");
    if (this.#current !== undefined) {
      if (this.#current.id === id) throw new Error(`request ${id} begins a second time`);
      return void this.#answers.push(encodeEnd(id, ProtocolStatus.cannotMultiplex));
    }
    const keepConnection = (content[2]! & KEEP_CONNECTION) !== 0;
    if (content.readUInt16BE(0) !== RESPONDER) {
      this.#answers.push(encodeEnd(id, ProtocolStatus.unknownRole));
      if (!keepConnection) this.#end();
      return;
    }
    this.#current = {
      ...{ id, keepConnection, params: [], paramsBytes: 0, bodyBytes: 0 },
      ...{ head: undefined, announcedBytes: undefined, request: undefined, response: undefined },
    };
    this.#socket.setTimeout(this.#limits.headerTimeoutMs);
  }

  #params(current: Current, content: Buffer): void {
    if (current.head !== undefined) throw new Error("parameters came after their end");
    if (content.length > 0) {
      current.paramsBytes += content.length;
      if (current.paramsBytes > this.#limits.maxHeaderBytes) return this.#refuse(current, 431);
      current.params.push(Buffer.from(content));
      return;
    }
    const params = decodePairs(Buffer.concat(current.params));
    current.params = [];
    current.head = requestHeadOf(params);
    const length = params.get("CONTENT_LENGTH") ?? "";
    if (length === "") return;
    current.announcedBytes = Number(length);
    this.#serve(current, current.head);
  }

  #serve(current: Current, head: StreamRequestHead): StreamRequest {
    // Numbers of requests are used again: what belongs to the last one goes before what belongs to this one.
    this.#sendAnswers();
    this.#socket.setTimeout(0);
    const request = new StreamRequest(head, () => this.#resume());
    const response = new FastCgiResponse(request, this.#socket, current.id, (complete) =>
      this.#over(current, complete),
    );
    current.request = request;
    current.response = response;
    this.#handle(request, response);
    return request;
  }

  #stdin(current: Current, content: Buffer): void {
    const { head, announcedBytes } = current;
    if (head === undefined) throw new Error("the body came before the parameters");
    current.bodyBytes += content.length;
    if (announcedBytes !== undefined && current.bodyBytes > announcedBytes)
      throw new Error(`the body is longer than CONTENT_LENGTH, which is ${announcedBytes}`);
    // Without a length (of a body in chunks, for example) the first record tells whether there is a body.
    const request = current.request ?? this.#serve(current, { ...head, hasBody: content.length > 0 });
    if (content.length > 0) {
      // Copied: the record is a view of what was read, and a slow reader would keep all of that.
      if (!request.offer(Buffer.from(content))) this.#socket.pause();
      return;
    }
    if (announcedBytes !== undefined && current.bodyBytes < announcedBytes)
      throw new Error(`the body ended after ${current.bodyBytes} of ${announcedBytes} bytes`);
    request.finish();
  }

  /** A request whose parameters nobody will look at. */
  #refuse(current: Current, status: number): void {
    current.params = [];
    this.#sendAnswers();
    const head = { httpVersion: "1.1", method: "GET", url: "/", rawHeaders: [], hasBody: false };
    const nowhere = { remoteAddress: "", remotePort: undefined, localAddress: undefined, localPort: undefined };
    const request = new StreamRequest({ ...head, connection: { ...nowhere, encrypted: false } }, () => {});
    const ended = () => this.#socket.destroySoon();
    new FastCgiResponse(request, this.#socket, current.id, ended).writeHead(status, ["Content-Length", "0"]).end();
    this.#current = undefined;
  }

  #abort(current: Current): void {
    if (current.response === undefined || current.response.destroyed) return this.#over(current, true);
    this.#answers.push(encodeEnd(current.id, ProtocolStatus.requestComplete, 1));
    this.#current = undefined;
    current.request?.destroy();
    current.response.destroy();
    this.#next(current);
  }

  #over(current: Current, complete: boolean): void {
    if (this.#current !== current) return;
    this.#current = undefined;
    if (complete) this.#next(current);
    else this.#socket.destroy();
  }

  #next({ keepConnection }: Current): void {
    if (!keepConnection || this.#draining) return this.#end();
    this.#resume();
    this.#socket.setTimeout(this.#limits.keepAliveTimeoutMs);
  }

  #management(type: number, content: Buffer): void {
    if (type === RecordType.getValues) {
      const asked = [...decodePairs(content).keys()].filter((name) => VALUES.has(name));
      const values = Object.fromEntries(asked.map((name) => [name, VALUES.get(name)!]));
      this.#answers.push(encodeRecord(RecordType.getValuesResult, 0, encodePairs(values)));
    } else this.#answers.push(encodeRecord(RecordType.unknownType, 0, Buffer.of(type, 0, 0, 0, 0, 0, 0, 0)));
  }

  #timedOut(): void {
    // While a response is under way its own limits count.
    if (this.#current?.response === undefined) this.#socket.destroy();
  }

  #gone(): void {
    const current = this.#current;
    this.#current = undefined;
    current?.request?.destroy();
    current?.response?.destroy();
  }
}
