import { setImmediate as nextTurn } from "node:timers/promises";
import { RrError } from "../errors.ts";
import { type BodyMemory, FormStore } from "./body-memory.ts";
import { FormTree, NODES_MAX, treeJson, treePieces, valueJson } from "./form-tree.ts";
import type { Turn } from "./turns.ts";
import { UrlencodedReader } from "./urlencoded.ts";

export interface FormLimits {
  /** Pairs of name and value. */
  readonly fieldsMax: number;
  /** Maps and lists in the tree. */
  readonly nodesMax: number;
}

export const FORM_LIMITS: FormLimits = { fieldsMax: 250_000, nodesMax: NODES_MAX };

/** Smaller forms are parsed at once; larger ones one after the other, so that their memory does not add up. */
const AT_ONCE_BYTES = 64 * 1024;
/** How long a form that is complete may wait for others to be parsed. */
const TURN_WAIT_MS = 60_000;
/** Bytes that are parsed before others get the event loop. */
const SLICE_BYTES = 64 * 1024;

/**
 * What the application is to be told of inputs for files that were left empty: as RoadRunner hands them over, an empty
 * text. Gets the tree when all fields are in it.
 */
export type Complete = (tree: FormTree<string>) => void;

/** What was not told to the application. */
export type Lost = FormTree<string>["lost"];

/** The tree of a form that is small enough to be parsed in one go. Throws as `UrlencodedReader` and `FormTree`. */
export function parseForm(body: Uint8Array, limits: FormLimits = FORM_LIMITS): FormTree<string> {
  const tree = new FormTree<string>(limits.nodesMax);
  const reader = new UrlencodedReader(limits.fieldsMax, (name, value) => tree.add(name, value));
  reader.push(body);
  reader.end();
  return tree;
}

export function fieldsJson(tree: FormTree<string>): string {
  return treeJson(tree.root, valueJson);
}

/** The fields of a form on its way in, urlencoded: kept where there is room, and read when all has come. */
export class FormFields {
  readonly #memory: BodyMemory;
  readonly #limits: FormLimits;
  readonly #store: FormStore;
  #turn: Turn | undefined;
  #stopped = false;

  constructor(memory: BodyMemory, limits: FormLimits) {
    this.#memory = memory;
    this.#limits = limits;
    this.#store = new FormStore(memory);
  }

  get roomy(): boolean {
    return this.#store.roomy;
  }

  whenRoomy(callback: () => void): void {
    this.#store.whenRoomy(callback);
  }

  /** @throws RrError UNAVAILABLE: there is no room for it */
  add(data: Buffer): void {
    this.#store.add(data);
  }

  /** The tree, if the form is small. Throws as `parseForm`. */
  atOnce(): FormTree<string> | undefined {
    if (this.#store.bytes > AT_ONCE_BYTES) return undefined;
    const whole = this.#store.whole();
    if (whole === undefined) return undefined;
    const tree = parseForm(whole, this.#limits);
    this.stop();
    return tree;
  }

  /**
   * The tree as JSON, in pieces, once it is this form's turn. Nobody else has one until these have been taken or the
   * form is stopped.
   *
   * @param complete is called when all fields are in the tree
   * @throws RrError as `parseForm`; UNAVAILABLE: too many others had to be parsed first
   */
  async *json(complete: Complete): AsyncGenerator<Buffer> {
    this.#turn = this.#memory.turns.take(this.#store.bytes, TURN_WAIT_MS);
    try {
      if (!(await this.#turn.came)) {
        if (this.#stopped) return;
        throw new RrError("UNAVAILABLE", `the form has waited ${TURN_WAIT_MS} ms for other forms to be parsed`);
      }
      const tree = await this.#parse();
      if (this.#stopped) return;
      complete(tree);
      for (const piece of treePieces(tree.root, valueJson)) {
        yield Buffer.from(piece, "utf8");
        await nextTurn();
        if (this.#stopped) return;
      }
    } finally {
      this.stop();
    }
  }

  /** Nobody wants them any more. */
  stop(): void {
    this.#stopped = true;
    this.#turn?.end();
    this.#store.release();
  }

  async #parse(): Promise<FormTree<string>> {
    const tree = new FormTree<string>(this.#limits.nodesMax);
    const reader = new UrlencodedReader(this.#limits.fieldsMax, (name, value) => tree.add(name, value));
    for await (const chunk of this.#store.chunks())
      for (let at = 0; at < chunk.length && !this.#stopped; at += SLICE_BYTES) {
        reader.push(chunk.subarray(at, at + SLICE_BYTES));
        await nextTurn();
      }
    reader.end();
    return tree;
  }
}
