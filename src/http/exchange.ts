import type { IncomingMessage, ServerResponse } from "node:http";
import type { Readable } from "node:stream";
import { Codec } from "../../gen/roadrunner/dispatch/v1/payload_pb.ts";
import type { CallHandle, CallSink, DispatchClient, ReplyPiece, StoredFile } from "../client/dispatch-client.ts";
import type { HttpOptions } from "../config/options.ts";
import { RrError } from "../errors.ts";
import type { Log } from "../log.ts";
import { oneLine } from "./access-log.ts";
import type { BodyMemory } from "./body-memory.ts";
import type { BrowserReload } from "./browser-reload/browser-reload.ts";
import { type ErrorPresentation, sendErrorResponse } from "./error-response.ts";
import { type CompleteForm, type FormBody, UrlencodedForm } from "./form-body.ts";
import { FORM_LIMITS, fieldsJson, type Lost, parseForm } from "./form-fields.ts";
import { FormUpload } from "./form-upload.ts";
import { textToBytes } from "./percent.ts";
import {
  announcedBytes,
  type BodyPlan,
  type BodyReception,
  COLLECT_BYTES,
  type Delivery,
  EMPTY_BODY,
  EMPTY_TREE,
  fieldsBody,
  planBody,
  type ReceptionSettings,
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
  readonly bodyMemory: BodyMemory;
  /** Undefined: browsers are not told of reloads. */
  readonly browserReload?: BrowserReload | undefined;
}

/** What clients may read about their own request; what is wrong with the server is for the log. */
function isClientsFault({ reason }: RrError): boolean {
  return reason === "INVALID_REQUEST" || reason === "PAYLOAD_TOO_LARGE";
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
  #form: FormBody | undefined;
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
      const error = RrError.from(thrown);
      const isForm = this.#plan === "form" || this.#plan === "multipart";
      this.#fail(error, { explain: isForm && isClientsFault(error) });
    }
  }

  #takeBody(): void {
    const options = this.#options;
    const { headers, method = "GET" } = this.#incoming;
    this.#plan = planBody(method, headers["content-type"], options.rawBody);
    const bytes = announcedBytes(this.#incoming, this.#plan, options);
    if (bytes === 0) return this.#openWhole(EMPTY_BODY);
    if (this.#plan === "none" || this.#plan === "empty-form") return this.#ignoreBody(bytes);
    // Middleware may have read it already.
    const source = this.#scope.capture?.take() ?? this.#incoming;
    // Node leaves the answer to `Expect: 100-continue` to whoever listens for it, and listener.ts does.
    if (source === this.#incoming && headers.expect !== undefined && this.#incoming.httpVersion !== "1.0")
      this.#outgoing.writeContinue();
    if (this.#plan === "multipart") return this.#takeUpload(source);
    this.#body = receiveBody(this.#reception(source, "small-whole"), {
      whole: (body) => this.#openWhole(body),
      first: (data) => (this.#plan === "form" ? this.#takeForm(data) : void this.#open(data, true)),
      more: (data, last) => this.#form?.take(data, last) ?? this.#sendMore(data, last),
      failed: (error, status) => this.#refuse(error, { status, explain: this.#plan === "form" }),
    });
  }

  #reception(incoming: Readable, delivery: Delivery): ReceptionSettings {
    const { bodyMemory: memory } = this.#services;
    return { incoming, plan: this.#plan, options: this.#options, memory, delivery };
  }

  /** The body breaks a rule. */
  #refuse(error: RrError, presentation: ErrorPresentation): void {
    this.abandon();
    this.#fail(error, presentation);
  }

  /** A urlencoded form that is too large to be parsed at once, from its start on. */
  #takeForm(start: Buffer): void {
    const limits = { ...FORM_LIMITS, fieldsMax: this.#options.formFieldsMax };
    const form = new UrlencodedForm(this.#services.bodyMemory, limits, (lost) => this.#tellLost(lost), {
      goOn: () => this.#body?.resume(),
      complete: (complete) => this.#completeForm(complete),
      failed: (error) => this.#refuse(error, { explain: isClientsFault(error) }),
    });
    this.#form = form;
    form.take(start, false);
  }

  #takeUpload(source: Readable): void {
    const options = this.#options;
    const contentType = this.#incoming.headers["content-type"]!;
    const upload = new FormUpload(contentType, options.uploads, this.#services.bodyMemory, {
      openCall: () => this.#open(EMPTY_BODY, true),
      goOn: () => this.#body?.resume(),
      complete: (form) => this.#completeForm(form),
      lost: (lost) => this.#tellLost(lost),
      failed: (error) => this.#refuse(error, { explain: isClientsFault(error) }),
    });
    this.#upload = upload;
    this.#form = upload;
    this.#body = receiveBody(this.#reception(source, "pieces"), {
      whole: () => {},
      first: () => {},
      more: (data, last) => upload.take(data, last),
      failed: (error, status) => this.#refuse(error, { status, explain: true }),
    });
  }

  #completeForm({ fields, uploadsJson, fileInputsJson }: CompleteForm): void {
    if (Symbol.asyncIterator in fields)
      return void this.#sendPieces(fields, () => this.#context(uploadsJson, fileInputsJson()));
    const body = fieldsBody(fields, this.#options.contextCodec);
    if (this.#call === undefined) this.#openComplete(body, uploadsJson, fileInputsJson());
    else this.#sendRest(body, 0, this.#context(uploadsJson, fileInputsJson()));
  }

  /** @param context is asked for when all pieces have been made */
  async #sendPieces(pieces: AsyncIterable<Buffer>, context: () => Buffer): Promise<void> {
    try {
      for await (const piece of pieces) {
        const call = this.#call ?? this.#open(EMPTY_BODY, true);
        call.sendBody(piece, false);
        if (!call.writable) await new Promise<void>((resolve) => call.whenWritable(resolve));
        if (this.#abandoned || this.#callEnded) return;
      }
      // A form that was stopped meanwhile ends without its pieces.
      if (!this.#abandoned && !this.#callEnded) this.#call?.sendBody(EMPTY_BODY, true, context());
    } catch (thrown) {
      const error = RrError.from(thrown);
      this.#refuse(error, { explain: isClientsFault(error) });
    }
  }

  /** PHP does so, too, and tells nobody. */
  #tellLost({ count, firstName }: Lost): void {
    const fields = { event: "http.form_fields_lost", count, request_id: this.#scope.requestId };
    this.#services.log.debug(
      fields,
      `${count} fields of the form are not told to PHP, as it takes no such names or has another value by them; the first is ${firstName}`,
    );
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
      if (this.#plan === "multipart") return this.#openComplete(fieldsBody(EMPTY_TREE, contextCodec), "{}");
      const isForm = this.#plan === "form" || this.#plan === "empty-form";
      if (!isForm) return this.#openComplete(received, undefined);
      const tree = parseForm(received, { ...FORM_LIMITS, fieldsMax: formFieldsMax });
      if (tree.lost.count > 0) this.#tellLost(tree.lost);
      this.#openComplete(fieldsBody(Buffer.from(fieldsJson(tree), "utf8"), contextCodec), undefined);
    } catch (thrown) {
      const error = RrError.from(thrown);
      this.#fail(error, { explain: isClientsFault(error) });
    }
  }

  #openComplete(body: Buffer, uploadsJson: string | undefined, fileInputsJson?: string): void {
    const isLarge = body.length > PIECE_BYTES;
    this.#open(isLarge ? body.subarray(0, PIECE_BYTES) : body, isLarge, uploadsJson, fileInputsJson);
    if (isLarge) this.#sendRest(body, PIECE_BYTES);
  }

  #open(body: Uint8Array, moreBody: boolean, uploadsJson?: string, fileInputsJson?: string): CallHandle {
    const options = this.#options;
    const { dispatch } = this.#services;
    const { method = "GET", headers } = this.#incoming;
    const call = dispatch.open(
      {
        pool: options.pool,
        context: this.#context(uploadsJson, fileInputsJson),
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

  #context(uploadsJson: string | undefined, fileInputsJson: string | undefined): Buffer {
    const { attributes, remoteAddress, requestHeaders } = this.#scope;
    const fields = readRequestFields(this.#incoming, requestHeaders);
    fields.parsed = this.#plan !== "none" && this.#plan !== "raw";
    if (uploadsJson !== undefined) fields.uploadsJson = textToBytes(uploadsJson);
    if (fileInputsJson !== undefined) fields.fileInputsJson = textToBytes(fileInputsJson);
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
    this.#form?.stop();
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
