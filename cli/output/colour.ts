const CODES = {
  bold: [1, 22],
  dim: [2, 22],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  cyan: [36, 39],
} as const;

export type Colour = keyof typeof CODES;
export type Paint = (colour: Colour, text: string) => string;

export const plain: Paint = (_colour, text) => text;
export const ansi: Paint = (colour, text) =>
  text === "" ? "" : `\x1b[${CODES[colour][0]}m${text}\x1b[${CODES[colour][1]}m`;

/**
 * Whether output is coloured: on a terminal, unless NO_COLOR is set or TERM is "dumb". FORCE_COLOR stands above both
 * ("0" and "false" force colours off).
 */
export function colourWanted(env: Readonly<Record<string, string | undefined>>, isTerminal: boolean): boolean {
  const forced = env.FORCE_COLOR;
  if (forced !== undefined && forced !== "") return forced !== "0" && forced !== "false";
  if (env.NO_COLOR !== undefined && env.NO_COLOR !== "") return false;
  return isTerminal && env.TERM !== "dumb";
}
