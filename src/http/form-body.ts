import { RrError } from "../errors.ts";
import type { BodyMemory } from "./body-memory.ts";
import { FormFields, type FormLimits } from "./form-fields.ts";
import type { FormTree } from "./form-tree.ts";

/** A form that has been read. */
export interface CompleteForm {
  /** JSON of the tree of its fields: whole, or in pieces that are made as they are taken. */
  readonly fields: Buffer | AsyncIterable<Buffer>;
  /** Tree of its files, as JSON; undefined: it is no multipart form. */
  readonly uploadsJson: string | undefined;
  /** To be asked when all fields were taken: see RequestFields. */
  readonly fileInputsJson: () => string | undefined;
}

/** Who wants a form. After `complete` or `failed` nothing more comes, besides what `complete` handed out. */
export interface FormHost {
  /** More of the body may be taken. */
  goOn(): void;
  complete(form: CompleteForm): void;
  failed(error: RrError): void;
}

/** A form on its way in. */
export interface FormBody {
  /** A piece of the body. Answers whether more may come at once; if not, the host's `goOn` tells when. */
  take(data: Buffer, last: boolean): boolean;
  /** Nobody wants the rest. */
  stop(): void;
}

/** A urlencoded form that is too large to be parsed at once. */
export class UrlencodedForm implements FormBody {
  readonly #host: FormHost;
  readonly #fields: FormFields;
  readonly #lost: (lost: FormTree<string>["lost"]) => void;
  #over = false;

  /** @param lost is told what of the form the application will not see, if anything */
  constructor(memory: BodyMemory, limits: FormLimits, lost: (lost: FormTree<string>["lost"]) => void, host: FormHost) {
    this.#host = host;
    this.#fields = new FormFields(memory, limits);
    this.#lost = lost;
  }

  take(data: Buffer, last: boolean): boolean {
    if (this.#over) return true;
    try {
      this.#fields.add(data);
      if (last) this.#complete();
    } catch (thrown) {
      this.stop();
      this.#host.failed(RrError.from(thrown));
      return true;
    }
    if (this.#fields.roomy) return true;
    this.#fields.whenRoomy(() => this.#host.goOn());
    return false;
  }

  stop(): void {
    this.#over = true;
    this.#fields.stop();
  }

  #complete(): void {
    this.#over = true;
    const fields = this.#fields.json(({ lost }) => {
      if (lost.count > 0) this.#lost(lost);
    });
    this.#host.complete({ fields, uploadsJson: undefined, fileInputsJson: () => undefined });
  }
}
