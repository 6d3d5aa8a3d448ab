import { Lexer } from "yaml";

/** Far beyond any configuration. */
export const NESTING_MAX = 100;

/** Stands before the text of a scalar without quotes. */
const SCALAR = "\u001f";

/**
 * Whether a YAML text nests more than a number of levels; where it cannot be told, too many are counted. Asked before
 * the text is parsed: the parser calls itself for each level, and when the stack ends the process may end. The lexer
 * does not.
 */
export function nestsDeeperThan(levelsMax: number, text: string): boolean {
  let brackets = 0;
  let compact = 0;
  let indent: number | undefined = 0;
  const indents: number[] = [];
  let isScalar = false;
  for (const token of new Lexer().lex(text)) {
    if (isScalar) isScalar = false;
    else if (token === SCALAR) isScalar = true;
    else if (token === "\n" || token === "\r\n") {
      indent = 0;
      compact = 0;
      continue;
    } else if (/^[ \t]+$/.test(token)) {
      if (indent !== undefined) indent += token.length;
      continue;
    } else if (token === "[" || token === "{") brackets++;
    else if (token === "]" || token === "}") brackets--;
    // "- - x" opens a level with each sign.
    else if (token === "-" || token === "?" || token === ":") compact++;
    else if (token.startsWith("#")) continue;
    if (indent !== undefined) {
      while (indents.length > 0 && indents.at(-1)! >= indent) indents.pop();
      indents.push(indent);
      indent = undefined;
    }
    if (brackets + indents.length + compact > levelsMax) return true;
  }
  return false;
}
