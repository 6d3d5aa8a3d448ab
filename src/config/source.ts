import { LineCounter, type Node, parseDocument } from "yaml";
import { NESTING_MAX, nestsDeeperThan } from "./nesting.ts";
import type { Problem } from "./problem.ts";
import { type MapNode, type Place, problemAt } from "./source-node.ts";
import { expandTabs } from "./tabs.ts";
import { YamlConverter } from "./yaml-converter.ts";

export interface Parsed {
  /** Undefined if the text cannot be understood. */
  readonly root: MapNode | undefined;
  readonly problems: readonly Problem[];
}

type Kind = "file" | "include";

/** Reads YAML, or JSON, which is YAML too. All problems of form are found, those of content if the form allows it. */
export function parseSource(text: string, file: string, kind: Kind): Parsed {
  const whole: Place = { kind, file, line: 1, column: 1 };
  if (text.length > TEXT_LENGTH_MAX)
    return { root: undefined, problems: [problemAt(whole, "", `expected at most ${TEXT_LENGTH_MAX} characters`)] };
  if (nestsDeeperThan(NESTING_MAX, text))
    return { root: undefined, problems: [problemAt(whole, "", `expected at most ${NESTING_MAX} levels of nesting`)] };
  const first = parse(text, file, kind);
  if (!first.codes.includes("TAB_AS_INDENT")) return finish(first, whole);
  const { places, candidates } = expandTabs(text);
  const tabs = places.map(({ line, column }) =>
    problemAt({ ...whole, line, column }, "", "a tab is used to indent, which YAML does not allow: use spaces"),
  );
  // What the author meant can be guessed: with spaces in place of the tabs, the other mistakes show too.
  for (const candidate of candidates) {
    const again = parse(candidate.text, file, kind, candidate.originalColumn);
    if (again.codes.length > 0) continue;
    const { root, problems } = finish(again, whole);
    return { root, problems: [...tabs, ...problems] };
  }
  return { root: undefined, problems: tabs };
}

/** Far above any real file; the parser takes seconds for a megabyte made to keep it busy. */
const TEXT_LENGTH_MAX = 256 * 1024;

/** After the first mistakes of form the others mostly follow from them. */
const SYNTAX_PROBLEMS_MAX = 20;

interface Attempt {
  readonly contents: Node | null;
  readonly codes: readonly string[];
  readonly problems: readonly Problem[];
  readonly converter: YamlConverter;
}

function parse(
  text: string,
  file: string,
  kind: Kind,
  originalColumn = (_line: number, column: number) => column,
): Attempt {
  const lineCounter = new LineCounter();
  // Whether keys are unique is looked at below: the library compares each key with each.
  const document = parseDocument(text, { lineCounter, prettyErrors: false, uniqueKeys: false });
  const placeAt = (offset: number): Place => {
    const { line, col } = lineCounter.linePos(offset);
    return { kind, file, line: Math.max(line, 1), column: originalColumn(line, Math.max(col, 1)) };
  };
  return {
    contents: document.contents as Node | null,
    codes: document.errors.map(({ code }) => code),
    problems: document.errors.slice(0, SYNTAX_PROBLEMS_MAX).map(({ code, message, pos: [start] }) => {
      const before = text.slice(text.lastIndexOf("\n", start - 1) + 1, start + 1);
      return problemAt(placeAt(start), "", syntaxMessage(code, message, before, kind));
    }),
    converter: new YamlConverter(document, placeAt),
  };
}

function finish({ contents, codes, converter, problems }: Attempt, whole: Place): Parsed {
  // After a mistake of form the rest may be misread.
  if (codes.length > 0) return { root: undefined, problems };
  const root = converter.convert(contents, whole);
  if (converter.tooLarge) return { root: undefined, problems: converter.problems };
  if (root.kind === "map") return { root, problems: converter.problems };
  if (root.kind === "scalar" && root.value === null)
    return { root: { kind: "map", place: whole, entries: [] }, problems: converter.problems };
  const got = root.kind === "list" ? "a list" : "text";
  const message = `expected keys and values such as \`version: "3"\`, got ${got}`;
  return { root: undefined, problems: [...converter.problems, problemAt(root.place, "", message)] };
}

const SYNTAX_MESSAGES: Readonly<Record<string, string>> = {
  BLOCK_AS_IMPLICIT_KEY: 'a second ": " stands in this line: put the value in quotes, or check the indentation',
  MULTILINE_IMPLICIT_KEY: "a key and its value stand in several lines: check the indentation",
  BAD_INDENT: "the indentation does not fit that of the lines above",
  BAD_SCALAR_START: "a value cannot start with this character: put it in quotes",
  MULTIPLE_DOCS: "a second document starts here (---): a configuration is one document",
};

/** `before`: the line up to and with the character at which the parser stopped. */
function syntaxMessage(code: string, message: string, before: string, kind: Kind): string {
  if (/[[{].*\$\{$/.test(before)) return "a variable inside [ ] or { } needs quotes around its text";
  // The library's own words quote the text, which in an included file may be anything.
  const detail =
    kind === "include" ? code.toLowerCase().replaceAll("_", " ") : message.split("\n")[0]!.replace(/: ".*$/, "");
  return SYNTAX_MESSAGES[code] ?? `this is not valid YAML: ${detail}`;
}
