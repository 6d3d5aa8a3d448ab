import { RrError } from "../errors.ts";

/** Keys from the root of a form's tree to a leaf; undefined: the next free number, as "[]" asks for. */
export type FieldPath = readonly (string | undefined)[];

/** Decoded bytes of a name. Scripts of PHP have no variables of that length, and names cost more than values. */
export const NAME_BYTES_MAX = 8 * 1024;
/** PHP stops at 64 and drops the field without a word; RoadRunner does so at 128. The sender would believe it arrived. */
const PARTS_MAX = 127;
/** Of a name, in messages. */
const SHOWN_CHARACTERS = 64;

/**
 * The path that a field's name stands for, by PHP's rules (main/php_variables.c): spaces in front do not count, "." and
 * " " in the first part become "_", what follows a "]" other than "[" does not count, a first "[" without its "]" becomes
 * "_", and a name ends at its first NUL. Undefined: PHP makes no variable of it, as nothing stands before the first "[".
 *
 * "a[b][]" -> a, b, next · "a[b]c" -> a, b · "a.b" -> a_b · "a[b" -> a_b · "a[b][c" -> a, b · "[a]" -> undefined
 *
 * @param name bytes, one per character, without escapes
 * @throws RrError INVALID_REQUEST: too long, too many parts
 */
export function fieldPath(name: string): FieldPath | undefined {
  if (name.length > NAME_BYTES_MAX) throw nameTooLong(name);
  const text = variableText(name);
  const open = text.indexOf("[");
  if (open < 0) return text === "" ? undefined : [text.replace(/[ .]/g, "_")];
  if (open === 0) return undefined;
  const first = text.slice(0, open).replace(/[ .]/g, "_");
  const path: (string | undefined)[] = [first];
  for (let start = open + 1; ; ) {
    // A white space in front of a "]" does not count.
    const search = SPACE.test(text.charAt(start)) ? start + 1 : start;
    const close = text.indexOf("]", search);
    if (close < 0) return path.length === 1 ? [`${first}_${text.slice(start).replace(/[ .[]/g, "_")}`] : path;
    path.push(close === search ? undefined : text.slice(start, close));
    if (path.length > PARTS_MAX)
      throw new RrError("INVALID_REQUEST", `the name ${shown(name)} in the form has more than ${PARTS_MAX} parts`);
    if (text.charAt(close + 1) !== "[") return path;
    start = close + 2;
  }
}

/** @param name as it came so far */
export function nameTooLong(name: string): RrError {
  return new RrError("INVALID_REQUEST", `the name ${shown(name)} in the form has more than ${NAME_BYTES_MAX} bytes`);
}

/** A name for messages, its beginning if it is long. */
export function shown(name: string): string {
  return JSON.stringify(name.length > SHOWN_CHARACTERS ? `${name.slice(0, SHOWN_CHARACTERS)}...` : name);
}

function variableText(name: string): string {
  const nul = name.indexOf("\0");
  const text = nul < 0 ? name : name.slice(0, nul);
  return text.charCodeAt(0) === 0x20 ? text.replace(/^ +/, "") : text;
}

/** C's isspace. */
const SPACE = /^[ \t\n\v\f\r]$/;
