import type { IncomingMessage, ServerResponse } from "node:http";
import type { Readable } from "node:stream";
import { Codec } from "../../gen/roadrunner/dispatch/v1/payload_pb.ts";
import type { CallHandle, CallSink, DispatchClient, ReplyPiece, StoredFile } from "../client/dispatch-client.ts";
import type { HttpOptions } from "../config/options.ts";
import { RrError } from "../errors.ts";
import type { Log } from "../log.ts";
import { oneLine } from "./access-log.ts";
import type { BrowserReload } from "./browser-reload/browser-reload.ts";
import { type ErrorPresentation, sendErrorResponse } from "./error-response.ts";
import { FormUpload } from "./form-upload.ts";
import { textToBytes } from "./percent.ts";
import {
  announcedBytes,
  type BodyPlan,
  type BodyReception,
  COLLECT_BYTES,
  EMPTY_BODY,
  fieldsBody,
  formBody,
  planBody,
  receiveBody,
} from "./request-body.ts";
import { encodeJsonContext, encodeProtoContext } from "./request-context.ts";
import { readRequestFields } from "./request-fields.ts";
import type { RequestScope, ScopeServices } from "./request-scope.ts";
import type { ResponseSink } from "./response-filter.ts";
import { ResponseWriter, WINDOW_BYTES } from "./response-writer.ts";
import type { RequestRouter } from "./routes.ts";

/** What all exchanges of a frontend share. */
export interface ExchangeServices extends ScopeServices {
  readonly dispatch: DispatchClient;
  readonly options: HttpOptions;
  readonly route: RequestRouter;
  readonly log: Log;
  /** Undefined: browsers are not told of reloads. */
  readonly browserReload?: BrowserReload | undefined;
}

const SAFE_METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "TRACE"]);
/** Pieces of a body that was parsed as a whole. */
const PIECE_BYTES = 256 * 1024;

/**
 * One request, from its head to the end of its response: takes in the body, opens the call, writes the reply, and gives
 * the call up when the client leaves.
 */
export class Exchange implements CallSink {
  readonly #services: ExchangeServices;
  /** Those of the route that the request takes. */
  readonly #options: HttpOptions;
  readonly #incoming: IncomingMessage;
  readonly #outgoing: ServerResponse;
  readonly #scope: RequestScope;
  readonly #sink: ResponseSink;
  readonly #writer: ResponseWriter;
  #plan: BodyPlan = "none";
  #body: BodyReception | undefined;
  #upload: FormUpload | undefined;
  #call: CallHandle | undefined;
  /** Credit and the wish to end that came before `open` returned. */
  #earlyGrantBytes = 0;
  #abandoned = false;
  #callEnded = false;
  #statusTold = false;
  #pid = 0;

  /** @param sink where the response is written, as `responseSink` tells */
  constructor(services: ExchangeServices, scope: RequestScope, sink: ResponseSink) {
    this.#services = services;
    this.#options = services.route(scope.incoming);
    this.#scope = scope;
    this.#incoming = scope.incoming;
    this.#outgoing = scope.outgoing;
    this.#sink = sink;
    this.#writer = new ResponseWriter(scope, sink, this, services.log);
  }

  /** Everything after this is driven by events. */
  start(): void {
    this.#scope.whenClosed = (complete) => this.#closed(complete);
    try {
      this.#takeBody();
    } catch (thrown) {
      this.#fail(RrError.from(thrown));
    }
  }

  #takeBody(): void {
    const options = this.#options;
    const { headers, method = "GET" } = this.#incoming;
    this.#plan = planBody(method, headers["content-type"], options.rawBody);
    const bytes = announcedBytes(this.#incoming, options.maxRequestBytes);
    if (bytes === 0) return this.#openWhole(EMPTY_BODY);
    if (this.#plan === "none" || this.#plan === "empty-form") return this.#ignoreBody(bytes);
    // Middleware may have read it already.
    const source = this.#scope.capture?.take() ?? this.#incoming;
    // Node leaves the answer to `Expect: 100-continue` to whoever listens for it, and listener.ts does.
    if (source === this.#incoming && headers.expect !== undefined && this.#incoming.httpVersion !== "1.0")
      this.#outgoing.writeContinue();
    if (this.#plan === "multipart") return this.#takeUpload(source);
    this.#body = receiveBody(source, options, this.#plan === "form" ? "whole" : "small-whole", {
      whole: (body) => this.#openWhole(body),
      first: (data) => void this.#open(data, true),
      more: (data, last) => this.#sendMore(data, last),
      failed: (error, status) => this.#refuse(error, { status }),
    });
  }

  /** The body breaks a rule. */
  #refuse(error: RrError, presentation: ErrorPresentation): void {
    this.abandon();
    this.#fail(error, presentation);
  }

  #takeUpload(source: Readable): void {
    const options = this.#options;
    const upload = new FormUpload(this.#incoming.headers["content-type"]!, options.uploads, {
      openCall: () => this.#open(EMPTY_BODY, true),
      goOn: () => this.#body?.resume(),
      complete: ({ fieldsJson, uploadsJson }) => this.#completeUpload(fieldsJson, uploadsJson),
      failed: (error) => this.#refuse(error, { explain: true }),
    });
    this.#upload = upload;
    this.#body = receiveBody(source, options, "pieces", {
      whole: () => {},
      first: () => {},
      more: (data, last) => upload.take(data, last),
      failed: (error, status) => this.#refuse(error, { status }),
    });
  }

  #completeUpload(fieldsJson: string, uploadsJson: string): void {
    const body = fieldsBody(fieldsJson, this.#options.contextCodec);
    if (this.#call === undefined) this.#openComplete(body, uploadsJson);
    else this.#sendRest(body, 0, this.#context(uploadsJson));
  }

  #ignoreBody(announced: number | undefined): void {
    // Reading a long body only to keep the connection is not worth it, and a client that waits for "100 Continue" may
    // send its body after the response or not.
    const waits = this.#incoming.headers.expect !== undefined;
    if (waits || announced === undefined || announced > COLLECT_BYTES) this.#outgoing.shouldKeepAlive = false;
    this.#openWhole(EMPTY_BODY);
  }

  // The call.

  #openWhole(received: Buffer): void {
    try {
      const { contextCodec, formFieldsMax } = this.#options;
      // A multipart form without a body at all is one without parts.
      if (this.#plan === "multipart") return this.#openComplete(fieldsBody("{}", contextCodec), "{}");
      const isForm = this.#plan === "form" || this.#plan === "empty-form";
      this.#openComplete(isForm ? formBody(received, contextCodec, formFieldsMax) : received, undefined);
    } catch (thrown) {
      this.#fail(RrError.from(thrown));
    }
  }

  #openComplete(body: Buffer, uploadsJson: string | undefined): void {
    const isLarge = body.length > PIECE_BYTES;
    this.#open(isLarge ? body.subarray(0, PIECE_BYTES) : body, isLarge, uploadsJson);
    if (isLarge) this.#sendRest(body, PIECE_BYTES);
  }

  #open(body: Uint8Array, moreBody: boolean, uploadsJson?: string): CallHandle {
    const options = this.#options;
    const { dispatch } = this.#services;
    const { method = "GET", headers } = this.#incoming;
    const call = dispatch.open(
      {
        pool: options.pool,
        context: this.#context(uploadsJson),
        body,
        codec: options.contextCodec === "proto" ? Codec.PROTO : Codec.JSON,
        moreBody,
        idempotent: SAFE_METHODS.has(method) || headers["idempotency-key"] !== undefined,
        requestId: this.#scope.requestId,
        windowBytes: WINDOW_BYTES,
        timeoutMs: 0,
      },
      this,
    );
    this.#call = call;
    if (this.#abandoned) call.cancel();
    else if (this.#earlyGrantBytes > 0) call.grant(this.#earlyGrantBytes);
    return call;
  }

  #context(uploadsJson: string | undefined): Buffer {
    const { attributes, remoteAddress, requestHeaders } = this.#scope;
    const fields = readRequestFields(this.#incoming, requestHeaders);
    fields.parsed = this.#plan !== "none" && this.#plan !== "raw";
    if (uploadsJson !== undefined) fields.uploadsJson = textToBytes(uploadsJson);
    fields.attributes = attributes;
    if (remoteAddress !== undefined) fields.remoteAddress = remoteAddress;
    return this.#options.contextCodec === "proto" ? encodeProtoContext(fields) : encodeJsonContext(fields);
  }

  /** Answers whether more may come at once. */
  #sendMore(data: Buffer, last: boolean): boolean {
    const call = this.#call;
    if (call === undefined) return true;
    call.sendBody(data, last);
    if (last || call.writable) return true;
    call.whenWritable(() => this.#body?.resume());
    return false;
  }

  /** The body from there on, and after it the context, if it is another one by now. */
  #sendRest(body: Buffer, sentBytes: number, context?: Buffer): void {
    const call = this.#call!;
    for (let at = sentBytes; !this.#abandoned; at += PIECE_BYTES) {
      if (!call.writable) {
        call.whenWritable(() => this.#sendRest(body, at, context));
        return;
      }
      const last = at + PIECE_BYTES >= body.length;
      call.sendBody(body.subarray(at, at + PIECE_BYTES), last, last ? context : undefined);
      if (last) return;
    }
  }

  // What the dispatch stream tells.

  reply(piece: ReplyPiece): void {
    if (piece.pid !== 0) this.#pid = piece.pid;
    this.#callEnded = !piece.more;
    if (this.#outgoing.destroyed) return;
    if (this.#services.draining && !this.#writer.started) this.#outgoing.shouldKeepAlive = false;
    try {
      this.#writer.write(piece);
      this.#tellStatus();
    } catch (thrown) {
      this.abandon();
      const error = RrError.from(thrown);
      this.#fail(error, { explain: error.metadata.status !== undefined });
    }
  }

  #tellStatus(): void {
    const { status } = this.#writer;
    if (this.#statusTold || status === undefined) return;
    this.#statusTold = true;
    this.#call?.responded(status);
  }

  stored(file: StoredFile): void {
    this.#upload?.stored(file);
  }

  failed(error: RrError): void {
    this.#callEnded = true;
    this.#fail(error);
  }

  grantGathered(): void {
    this.#writer.creditGathered();
  }

  // What the writer asks for.

  get portionBytes(): number | undefined {
    return this.#call?.portionBytes;
  }

  grant(bytes: number): void {
    if (this.#call === undefined) this.#earlyGrantBytes += bytes;
    else this.#call.grant(bytes);
  }

  abandon(): void {
    if (this.#abandoned || this.#callEnded) return;
    this.#abandoned = true;
    this.#call?.cancel();
  }

  // Ends.

  #fail(error: RrError, presentation: ErrorPresentation = {}): void {
    const options = this.#options;
    const { log, draining } = this.#services;
    this.#scope.failure = error.reason;
    this.#stopBody();
    if (this.#outgoing.destroyed || this.#outgoing.writableEnded) return;
    if (this.#writer.started) this.#writer.abort();
    else {
      if (draining) this.#outgoing.shouldKeepAlive = false;
      const { requestId } = this.#scope;
      sendErrorResponse(this.#incoming, this.#outgoing, this.#sink, error, options, requestId, presentation);
    }
    const fields = {
      event: "http.request_failed",
      reason: error.reason,
      status: this.#outgoing.statusCode,
      method: this.#incoming.method,
      uri: oneLine(this.#incoming.url ?? ""),
      request_id: this.#scope.requestId,
      pool: options.pool,
      pid: this.#pid === 0 ? undefined : this.#pid,
    };
    // What the client did wrong is no event in the life of the server.
    if (this.#outgoing.statusCode < 500) log.debug(fields, error.message);
    else log.warn(fields, error.message);
  }

  #stopBody(): void {
    this.#body?.stop();
    this.#upload?.stop();
  }

  #closed(complete: boolean): void {
    if (!complete) {
      this.#stopBody();
      this.abandon();
    }
    this.#call?.release?.();
    this.#scope.readBytes = this.#body?.receivedBytes ?? 0;
    this.#scope.writtenBytes = this.#writer.writtenBytes;
  }
}
