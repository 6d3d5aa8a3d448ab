import { statSync } from "node:fs";

/**
 * The folder that this process was started in, by the name that the shell has for it: where a link leads to a release,
 * the link is what stays when the next release comes. Falls back to what the system says, which has no links in it.
 *
 * @param shown what the shell says (PWD)
 * @param actual what the system says
 */
export function currentDirectory(shown: string | undefined, actual: string): string {
  if (shown === undefined || !shown.startsWith("/")) return actual;
  try {
    const [one, other] = [statSync(shown), statSync(actual)];
    return one.dev === other.dev && one.ino === other.ino ? shown : actual;
  } catch {
    // A PWD of long ago.
    return actual;
  }
}
