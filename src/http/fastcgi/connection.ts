import type { Socket } from "node:net";
import type { Log } from "../../log.ts";
import type { StreamHandler } from "../listener.ts";
import { StreamRequest } from "../stream-request.ts";
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

interface Current {
  readonly id: number;
  readonly keepConnection: boolean;
  params: Buffer[];
  paramsBytes: number;
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

  constructor(socket: Socket, limits: FastCgiLimits, handle: StreamHandler, log: Log) {
    this.#socket = socket;
    this.#limits = limits;
    this.#handle = handle;
    this.#log = log;
    socket.setTimeout(limits.headerTimeoutMs, () => this.#timedOut());
    socket.on("data", (chunk: Buffer) => this.#take(chunk));
    socket.on("error", () => {});
    socket.once("close", () => this.#gone());
  }

  get idle(): boolean {
    return this.#current === undefined;
  }

  /** Ends after the response under way. */
  drain(): void {
    this.#draining = true;
    if (this.idle) this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #take(chunk: Buffer): void {
    try {
      for (const record of this.#reader.read(chunk)) this.#record(record);
    } catch (thrown) {
      this.#log.warn({ event: "fastcgi.bad_request" }, `FastCGI connection closed: ${(thrown as Error).message}`);
      this.#socket.destroy();
    }
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
      return void this.#socket.write(encodeEnd(id, ProtocolStatus.cannotMultiplex));
    }
    const keepConnection = (content[2]! & KEEP_CONNECTION) !== 0;
    if (content.readUInt16BE(0) !== RESPONDER) {
      this.#socket.write(encodeEnd(id, ProtocolStatus.unknownRole));
      if (!keepConnection) this.#socket.end();
      return;
    }
    this.#current = { id, keepConnection, params: [], paramsBytes: 0, request: undefined, response: undefined };
    this.#socket.setTimeout(this.#limits.headerTimeoutMs);
  }

  #params(current: Current, content: Buffer): void {
    if (current.request !== undefined) throw new Error("parameters came after their end");
    if (content.length === 0) return this.#serve(current);
    current.paramsBytes += content.length;
    if (current.paramsBytes > this.#limits.maxHeaderBytes) return this.#refuse(current, 431);
    current.params.push(Buffer.from(content));
  }

  #serve(current: Current): void {
    const head = requestHeadOf(decodePairs(Buffer.concat(current.params)));
    current.params = [];
    this.#socket.setTimeout(0);
    const request = new StreamRequest(head, () => this.#socket.resume());
    const response = new FastCgiResponse(request, this.#socket, current.id, (complete) =>
      this.#over(current, complete),
    );
    current.request = request;
    current.response = response;
    this.#handle(request, response);
  }

  #stdin({ request }: Current, content: Buffer): void {
    if (request === undefined) throw new Error("the body came before the parameters");
    if (content.length === 0) request.finish();
    // Copied: the record is a view of what was read, and a slow reader would keep all of that.
    else if (!request.offer(Buffer.from(content))) this.#socket.pause();
  }

  /** A request whose parameters nobody will look at. */
  #refuse(current: Current, status: number): void {
    current.params = [];
    const head = { httpVersion: "1.1", method: "GET", url: "/", rawHeaders: [], hasBody: false };
    const nowhere = { remoteAddress: "", remotePort: undefined, localAddress: undefined, localPort: undefined };
    const request = new StreamRequest({ ...head, connection: { ...nowhere, encrypted: false } }, () => {});
    const ended = () => this.#socket.destroySoon();
    new FastCgiResponse(request, this.#socket, current.id, ended).writeHead(status, ["Content-Length", "0"]).end();
    this.#current = undefined;
  }

  #abort(current: Current): void {
    if (current.response === undefined || current.response.destroyed) return this.#over(current, true);
    this.#socket.write(encodeEnd(current.id, ProtocolStatus.requestComplete, 1));
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
    if (!keepConnection || this.#draining) return void this.#socket.end();
    this.#socket.resume();
    this.#socket.setTimeout(this.#limits.keepAliveTimeoutMs);
  }

  #management(type: number, content: Buffer): void {
    if (type === RecordType.getValues) {
      const known: Record<string, string> = { FCGI_MPXS_CONNS: "0" };
      const asked = [...decodePairs(content).keys()].filter((name) => name in known);
      const values = Object.fromEntries(asked.map((name) => [name, known[name]!]));
      this.#socket.write(encodeRecord(RecordType.getValuesResult, 0, encodePairs(values)));
    } else this.#socket.write(encodeRecord(RecordType.unknownType, 0, Buffer.of(type, 0, 0, 0, 0, 0, 0, 0)));
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
