import { isatty } from "node:tty";

/** Which standard streams take colours: terminals, unless NO_COLOR says otherwise (https://no-color.org). */
export function terminalColours(env: Readonly<Record<string, string | undefined>>): {
  stdout: boolean;
  stderr: boolean;
} {
  const wanted = (env.NO_COLOR ?? "") === "";
  return { stdout: wanted && isatty(1), stderr: wanted && isatty(2) };
}
