import type { StoredFile } from "../client/dispatch-client.ts";
import type { UploadOptions } from "../config/options.ts";
import { RrError } from "../errors.ts";
import type { BodyMemory } from "./body-memory.ts";
import type { FormBody, FormHost } from "./form-body.ts";
import { FormFields, fieldsJson, type Lost } from "./form-fields.ts";
import { shown } from "./form-names.ts";
import { FormTree, NODES_MAX, treeJson } from "./form-tree.ts";
import { MultipartReader, type PartTaker } from "./multipart.ts";
import { bytesToText } from "./percent.ts";
import { isForbidden, withoutControls } from "./upload-names.ts";
import { escapeForm } from "./urlencoded.ts";

/** The part of a call that files are sent by; see CallHandle. */
export interface FileCall {
  readonly writable: boolean;
  whenWritable(callback: () => void): void;
  sendFile(fileId: number, data: Uint8Array, last: boolean): void;
}

export interface FormUploadHost extends FormHost {
  /** Opens the call that files are sent by. Called once, at the first file. */
  openCall(): FileCall;
  /** What of the form the application will not see. */
  lost(lost: Lost): void;
}

/** What PHP is told of a file; the names are those of RoadRunner's context. */
interface UploadLeaf {
  name: string;
  mime: string;
  size: number;
  /** A code of PHP's UPLOAD_ERR family. */
  error: number;
  /** Where the file is, on the host of the workers; "" with an error. */
  tmpName: string;
}

/** A file that has begun. */
interface Upload {
  readonly fileId: number;
  readonly leaf: UploadLeaf;
  /** Too many were under way; what came of it until then. */
  waiting: { readonly pieces: Buffer[]; ended: boolean } | undefined;
}

/** Files that the core is at, at a time: it refuses calls with more than 64. */
const UNDER_WAY_MAX = 48;
/** Bytes of names of files that all forms of a frontend together may have in memory, beside what bodies have. */
const NAMES_BYTES_MAX = 64 * 1024 * 1024;
const TOO_LARGE = 1;
const NO_FILE = 4;
const EXTENSION_REFUSED = 8;
const EMPTY = Buffer.alloc(0);
const DISCARD: PartTaker = { take: () => {}, end: () => {} };

function* leafJson(leaf: UploadLeaf): Generator<string> {
  yield JSON.stringify(leaf);
}

/**
 * A multipart form on its way in: fields are collected, files are sent to the core as they come, and the core tells where
 * it put them. Nothing is kept of files: a core that is slow slows the client.
 */
export class FormUpload implements FormBody {
  readonly #options: UploadOptions;
  readonly #memory: BodyMemory;
  readonly #host: FormUploadHost;
  readonly #reader: MultipartReader;
  readonly #fields: FormFields;
  /** Fields of the piece that is read, urlencoded. */
  #fieldText = "";
  /** Files and inputs without one, in their order. */
  readonly #files: { readonly name: string; readonly leaf: UploadLeaf }[] = [];
  #hasNoFile = false;
  #namesBytes = 0;
  /** Files whose fate the core has not told. */
  readonly #underWay = new Map<number, UploadLeaf>();
  /** Files that begin when others are done: small ones come faster than any disk takes them. */
  #waiting: Upload[] = [];
  #lastFileId = 0;
  #call: FileCall | undefined;
  #held = false;
  /** Told when the call can take more. */
  #awaitsCall = false;
  #allRead = false;
  #over = false;

  /** @throws RrError INVALID_REQUEST: the content type names no boundary */
  constructor(contentType: string, options: UploadOptions, memory: BodyMemory, host: FormUploadHost) {
    this.#options = options;
    this.#memory = memory;
    this.#host = host;
    this.#reader = new MultipartReader(contentType, options, {
      field: (name, charset) => this.#field(name, charset),
      noFile: (name) => {
        this.#hasNoFile = true;
        this.#addFile(name, { name: "", mime: "", size: 0, error: NO_FILE, tmpName: "" });
      },
      file: (name, fileName, mime) => this.#file(name, bytesToText(withoutControls(fileName)), bytesToText(mime)),
      finished: () => {
        this.#allRead = true;
      },
      failed: (error) => this.#fail(error),
    });
    this.#fields = new FormFields(memory, { fieldsMax: options.fieldsMax, nodesMax: NODES_MAX });
  }

  take(data: Buffer, last: boolean): boolean {
    this.#reader.write(data);
    if (last) this.#reader.end();
    this.#keepFields();
    this.#completeIfDone();
    if (this.#over || this.#roomy) return true;
    this.#held = true;
    this.#awaitRoom();
    return false;
  }

  /** What the core says of a file. */
  stored({ fileId, path, sizeBytes, error }: StoredFile): void {
    const leaf = this.#underWay.get(fileId);
    if (leaf === undefined) return;
    this.#underWay.delete(fileId);
    if (leaf.error === 0) {
      leaf.tmpName = path;
      leaf.size = sizeBytes;
      leaf.error = error;
    }
    this.#startWaiting();
    this.#completeIfDone();
  }

  stop(): void {
    this.#over = true;
    this.#waiting = [];
    this.#reader.stop();
    this.#fields.stop();
    this.#countNames(-this.#namesBytes);
  }

  get #roomy(): boolean {
    return this.#waiting.length === 0 && this.#fields.roomy && (this.#call === undefined || this.#call.writable);
  }

  #awaitRoom(): void {
    if (!this.#fields.roomy) this.#fields.whenRoomy(() => this.#goOnIfRoomy());
    const call = this.#call;
    if (call === undefined || call.writable || this.#awaitsCall) return;
    this.#awaitsCall = true;
    call.whenWritable(() => {
      this.#awaitsCall = false;
      this.#goOnIfRoomy();
    });
  }

  /** When one of them has room, another may have none any more: all forms share the way to the core. */
  #goOnIfRoomy(): void {
    if (!this.#held || this.#over) return;
    if (!this.#roomy) return this.#awaitRoom();
    this.#held = false;
    this.#host.goOn();
  }

  // Fields.

  #field(name: string, charset: string | undefined): PartTaker {
    this.#fieldText += `${escapeForm(name)}=`;
    const decoder = decoderFor(charset);
    return {
      take: (data) => {
        const bytes = decoder === undefined ? data : Buffer.from(decoder.decode(data, { stream: true }), "utf8");
        this.#fieldText += escapeForm(bytes.toString("latin1"));
      },
      end: () => {
        this.#fieldText += "&";
      },
    };
  }

  /** In one piece for all that came at once. */
  #keepFields(): void {
    const text = this.#fieldText;
    this.#fieldText = "";
    if (this.#over || text === "") return;
    try {
      this.#fields.add(Buffer.from(text, "latin1"));
    } catch (thrown) {
      this.#fail(RrError.from(thrown));
    }
  }

  // Files.

  #addFile(name: string, leaf: UploadLeaf): void {
    this.#files.push({ name, leaf });
    this.#countNames(name.length + leaf.name.length + leaf.mime.length);
    if (this.#memory.heldBytes > NAMES_BYTES_MAX)
      throw new RrError("UNAVAILABLE", "forms that come in at this time have too many files: try again later");
  }

  #countNames(bytes: number): void {
    this.#namesBytes += bytes;
    this.#memory.heldBytes += bytes;
  }

  #file(name: string, fileName: string, mime: string): PartTaker {
    const leaf = { name: fileName, mime, size: 0, error: 0, tmpName: "" };
    this.#addFile(name, leaf);
    if (isForbidden(fileName, this.#options)) {
      leaf.error = EXTENSION_REFUSED;
      return DISCARD;
    }
    this.#call ??= this.#host.openCall();
    const upload: Upload = { fileId: ++this.#lastFileId, leaf, waiting: undefined };
    if (this.#underWay.size < UNDER_WAY_MAX) this.#underWay.set(upload.fileId, leaf);
    else {
      upload.waiting = { pieces: [], ended: false };
      this.#waiting.push(upload);
    }
    let bytes = 0;
    return {
      take: (data) => {
        bytes += data.length;
        if (this.#isTooLarge(leaf, bytes)) return;
        if (upload.waiting !== undefined) upload.waiting.pieces.push(data);
        else this.#send(upload, data, false);
      },
      end: () => {
        if (upload.waiting !== undefined) upload.waiting.ended = true;
        else this.#send(upload, EMPTY, true);
      },
    };
  }

  /** @throws RrError PAYLOAD_TOO_LARGE: the form fails for it */
  #isTooLarge(leaf: UploadLeaf, bytes: number): boolean {
    const { fileBytesMax, oversizedFiles } = this.#options;
    if (fileBytesMax === 0 || bytes <= fileBytesMax) return false;
    if (oversizedFiles === "refuse")
      throw new RrError(
        "PAYLOAD_TOO_LARGE",
        `the file ${shown(leaf.name)} of the form has more than ${fileBytesMax} bytes (http.uploads.max_file_size)`,
      );
    leaf.error = TOO_LARGE;
    return true;
  }

  /** An error may be told early: the rest of the file need not travel. */
  #send({ fileId }: Upload, data: Buffer, last: boolean): void {
    if (this.#underWay.has(fileId)) this.#call!.sendFile(fileId, data, last);
  }

  #startWaiting(): void {
    if (this.#over) return;
    while (this.#waiting.length > 0 && this.#underWay.size < UNDER_WAY_MAX) {
      const upload = this.#waiting.shift()!;
      const { pieces, ended } = upload.waiting!;
      upload.waiting = undefined;
      this.#underWay.set(upload.fileId, upload.leaf);
      for (const piece of pieces) this.#send(upload, piece, false);
      if (ended) this.#send(upload, EMPTY, true);
    }
    this.#goOnIfRoomy();
  }

  // Ends.

  #completeIfDone(): void {
    if (this.#over || !this.#allRead || this.#underWay.size > 0 || this.#waiting.length > 0) return;
    this.#over = true;
    // From here on they are in the hands of the request alone, which is over soon.
    this.#countNames(-this.#namesBytes);
    try {
      const uploads = treeJson(this.#filesTree(false).root, leafJson);
      let paths: (readonly string[])[] = [];
      const complete = (tree: FormTree<string>) => {
        paths = this.#addNoFiles(tree);
        if (tree.lost.count > 0) this.#host.lost(tree.lost);
      };
      const fileInputsJson = () =>
        this.#hasNoFile
          ? `{"files":${treeJson(this.#filesTree(true).root, leafJson)},"texts":${JSON.stringify(paths.map(textPath))}}`
          : undefined;
      const tree = this.#fields.atOnce();
      if (tree !== undefined) complete(tree);
      const fields = tree === undefined ? this.#fields.json(complete) : Buffer.from(fieldsJson(tree), "utf8");
      this.#host.complete({ fields, uploadsJson: uploads, fileInputsJson });
    } catch (thrown) {
      this.#host.failed(RrError.from(thrown));
    }
  }

  #filesTree(withNoFiles: boolean): FormTree<UploadLeaf> {
    const tree = new FormTree<UploadLeaf>();
    for (const { name, leaf } of this.#files)
      if (leaf.error !== NO_FILE) tree.add(name, leaf);
      else if (withNoFiles) tree.addIfFree(name, leaf);
    return tree;
  }

  /** An input for files that was left empty is an empty text for RoadRunner's libraries. It takes nobody's place. */
  #addNoFiles(tree: FormTree<string>): (readonly string[])[] {
    return this.#files.flatMap(({ name, leaf }) => {
      const path = leaf.error === NO_FILE ? tree.addIfFree(name, "") : undefined;
      return path === undefined ? [] : [path];
    });
  }

  #fail(error: RrError): void {
    if (this.#over) return;
    this.stop();
    this.#host.failed(error);
  }
}

function textPath(path: readonly string[]): string[] {
  return path.map(bytesToText);
}

/** Undefined: the bytes stay as they are, UTF-8 by the standard; what the charset says is no text we know. */
function decoderFor(charset: string | undefined): InstanceType<typeof TextDecoder> | undefined {
  if (charset === undefined || charset === "utf-8" || charset === "utf8") return undefined;
  try {
    return new TextDecoder(charset);
  } catch {
    return undefined;
  }
}
