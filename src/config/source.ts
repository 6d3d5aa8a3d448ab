import {
  type Document,
  isMap,
  LineCounter,
  type Node,
  type Pair,
  type ParsedNode,
  parseDocument,
  type Scalar,
} from "yaml";
import type { Problem } from "./problem.ts";

/** A top-level key of a file, with what stands under it. */
export interface Section {
  readonly key: string;
  readonly keyNode: Node;
  readonly value: Node | null;
  readonly source: Source;
}

/** One file, YAML or JSON (which is YAML too), that remembers where everything stood. */
export class Source {
  readonly name: string;
  readonly problems: Problem[] = [];
  readonly #lines = new LineCounter();
  readonly #document: Document.Parsed<ParsedNode>;

  constructor(name: string, text: string) {
    this.name = name;
    this.#document = parseDocument(text, { lineCounter: this.#lines, prettyErrors: false });
    for (const error of this.#document.errors) {
      const { line, col } = this.#lines.linePos(error.pos[0]);
      this.problems.push(
        this.problem(line, col, "", syntaxMessage(error.code, error.message, text.split("\n")[line - 1] ?? "")),
      );
    }
    const { contents } = this.#document;
    if (this.problems.length === 0 && contents !== null && !isMap(contents))
      this.problems.push(this.problem(1, 1, "", 'expected keys and values such as `version: "3"`'));
  }

  get sections(): Section[] {
    const { contents } = this.#document;
    if (!isMap(contents)) return [];
    return (contents.items as Pair<Scalar, Node | null>[]).map((pair) => ({
      key: String(pair.key.value),
      keyNode: pair.key,
      value: pair.value,
      source: this,
    }));
  }

  /** Line and column from 1; 0 for what does not stand in the file. */
  position(node: Node | null | undefined): { line: number; column: number } {
    if (!node?.range) return { line: 0, column: 0 };
    const { line, col } = this.#lines.linePos(node.range[0]);
    return { line, column: col };
  }

  problem(
    line: number,
    column: number,
    path: string,
    message: string,
    severity: Problem["severity"] = "error",
  ): Problem {
    return { file: this.name, line, column, path, message, severity };
  }
}

function syntaxMessage(code: string, message: string, line: string): string {
  if (code === "TAB_AS_INDENT" || /^\s*\t/.test(line))
    return "a tab is used to indent, which YAML does not allow: use spaces";
  return `this is not valid YAML: ${message.split("\n")[0]}`;
}
