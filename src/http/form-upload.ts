import type { StoredFile } from "../client/dispatch-client.ts";
import type { UploadOptions } from "../config/options.ts";
import { RrError } from "../errors.ts";
import { addToGroup, growTree, type TreeRules, treeJson, VALUE_RULES } from "./form-tree.ts";
import { type FileTaker, MultipartReader } from "./multipart.ts";
import { isForbidden, withoutControls } from "./upload-names.ts";

/** The part of a call that files are sent by; see CallHandle. */
export interface FileCall {
  readonly writable: boolean;
  whenWritable(callback: () => void): void;
  sendFile(fileId: number, data: Uint8Array, last: boolean): void;
}

export interface FormUploadHost {
  /** Opens the call that files are sent by. Called once, at the first file. */
  openCall(): FileCall;
  /** More of the body may be taken. */
  goOn(): void;
  /** The form is read and its files are stored. Trees as JSON. */
  complete(form: { fieldsJson: string; uploadsJson: string }): void;
  /** Nothing more comes. */
  failed(error: RrError): void;
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
  /** Too many were under way; what came of it until then, and the reader that waits to go on. */
  waiting: { pieces: Buffer[]; goOn: (() => void) | undefined; ended: boolean } | undefined;
}

/** Files that the core is at, at a time: it refuses calls with more than 64. */
const UNDER_WAY_MAX = 48;
const NO_FILE = 4;
const EXTENSION_REFUSED = 8;
const EMPTY = Buffer.alloc(0);
const isNoFile = ({ error }: UploadLeaf): boolean => error === NO_FILE;
/** The first file of a name that is no list. */
const FILE_RULES: TreeRules<UploadLeaf> = {
  pick: (leaves) => leaves.find((leaf) => !isNoFile(leaf)) ?? leaves[0]!,
  isEmpty: isNoFile,
};
const DISCARD: FileTaker = { take: () => true, end: () => {} };

/**
 * A multipart form on its way in: fields are collected, files are sent to the core as they come, and the core tells where
 * it put them. Nothing is kept of files: a core that is slow slows the client.
 */
export class FormUpload {
  readonly #options: UploadOptions;
  readonly #host: FormUploadHost;
  readonly #reader: MultipartReader;
  readonly #values = new Map<string, string[]>();
  readonly #files = new Map<string, UploadLeaf[]>();
  /** Files whose fate the core has not told. */
  readonly #underWay = new Map<number, UploadLeaf>();
  /** Files that begin when others are done: small ones come faster than any disk takes them. */
  #waiting: Upload[] = [];
  #lastFileId = 0;
  #call: FileCall | undefined;
  #allRead = false;
  #over = false;

  /** @throws RrError INVALID_REQUEST: the content type names no boundary */
  constructor(contentType: string, options: UploadOptions, host: FormUploadHost) {
    this.#options = options;
    this.#host = host;
    this.#reader = new MultipartReader(contentType, options, {
      field: (name, value) => addToGroup(this.#values, name, value),
      noFile: (name) => addToGroup(this.#files, name, { name: "", mime: "", size: 0, error: NO_FILE, tmpName: "" }),
      file: (name, fileName, mime) => this.#file(name, withoutControls(fileName), mime),
      drained: () => {
        if (this.#waiting.length === 0) host.goOn();
      },
      finished: () => {
        this.#allRead = true;
        this.#completeIfDone();
      },
      failed: (error) => this.#fail(error),
    });
  }

  /** A piece of the body. Answers whether more may come at once; if not, the host's `goOn` tells when. */
  take(data: Buffer, last: boolean): boolean {
    const goOn = data.length === 0 || this.#reader.write(data);
    if (last) this.#reader.end();
    return goOn && this.#waiting.length === 0;
  }

  /** What the core says of a file. */
  stored({ fileId, path, sizeBytes, error }: StoredFile): void {
    const leaf = this.#underWay.get(fileId);
    if (leaf === undefined) return;
    this.#underWay.delete(fileId);
    leaf.tmpName = path;
    leaf.size = sizeBytes;
    leaf.error = error;
    this.#startWaiting();
    this.#completeIfDone();
  }

  /** Nobody wants the rest. */
  stop(): void {
    this.#over = true;
    this.#waiting = [];
    this.#reader.stop();
  }

  #file(name: string, fileName: string, mime: string): FileTaker {
    const leaf = { name: fileName, mime, size: 0, error: 0, tmpName: "" };
    addToGroup(this.#files, name, leaf);
    if (isForbidden(fileName, this.#options)) {
      leaf.error = EXTENSION_REFUSED;
      return DISCARD;
    }
    const call = (this.#call ??= this.#host.openCall());
    const upload: Upload = { fileId: ++this.#lastFileId, leaf, waiting: undefined };
    if (this.#underWay.size < UNDER_WAY_MAX) this.#underWay.set(upload.fileId, leaf);
    else {
      upload.waiting = { pieces: [], goOn: undefined, ended: false };
      this.#waiting.push(upload);
    }
    return {
      take: (data, goOn) => {
        if (upload.waiting !== undefined) {
          upload.waiting.pieces.push(data);
          upload.waiting.goOn = goOn;
          return false;
        }
        this.#send(upload, data, false);
        if (call.writable) return true;
        call.whenWritable(goOn);
        return false;
      },
      end: () => {
        if (upload.waiting !== undefined) upload.waiting.ended = true;
        else this.#send(upload, EMPTY, true);
      },
    };
  }

  /** An error may be told early: the rest of the file need not travel. */
  #send({ fileId }: Upload, data: Buffer, last: boolean): void {
    if (this.#underWay.has(fileId)) this.#call!.sendFile(fileId, data, last);
  }

  #startWaiting(): void {
    if (this.#over || this.#waiting.length === 0) return;
    while (this.#waiting.length > 0 && this.#underWay.size < UNDER_WAY_MAX) {
      const upload = this.#waiting.shift()!;
      const { pieces, goOn, ended } = upload.waiting!;
      upload.waiting = undefined;
      this.#underWay.set(upload.fileId, upload.leaf);
      for (const piece of pieces) this.#send(upload, piece, false);
      if (ended) this.#send(upload, EMPTY, true);
      goOn?.();
    }
    if (this.#waiting.length === 0) this.#host.goOn();
  }

  #completeIfDone(): void {
    if (this.#over || !this.#allRead || this.#underWay.size > 0) return;
    this.#over = true;
    try {
      const fields = growTree(this.#values, VALUE_RULES);
      const uploads = growTree(this.#files, FILE_RULES);
      this.#host.complete({ fieldsJson: treeJson(fields), uploadsJson: treeJson(uploads) });
    } catch (thrown) {
      this.#host.failed(RrError.from(thrown));
    }
  }

  #fail(error: RrError): void {
    if (this.#over) return;
    this.#over = true;
    this.#host.failed(error);
  }
}
