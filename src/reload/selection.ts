import { basename, relative, sep } from "node:path";
import type { ReloadRule } from "../config/options.ts";

/** Not watched unless `dirs` names them: large, and not edited by hand. */
const NEVER = ["vendor", "node_modules", ".git"];

/** Whether .gitignore leaves a path out. */
export type GitIgnored = (path: string, isFolder: boolean) => boolean;

/** Whether a rule cares for nothing at this absolute path, nor below it. */
export function isIgnored(rule: ReloadRule, path: string, isFolder: boolean, gitIgnored: GitIgnored): boolean {
  return !rule.dirs.some((dir) => {
    const inside = relative(dir, path);
    if (inside === "") return true;
    const parts = inside.split(sep);
    if (parts[0] === "..") return false;
    if (!rule.recursive && parts.length > 1) return false;
    if (parts.some((part) => NEVER.includes(part) || rule.ignore.includes(part))) return false;
    if (rule.ignore.some((one) => path === one || path.startsWith(one + sep))) return false;
    // A folder that is named is watched, whatever git thinks of it.
    return gitIgnored(dir, true) || !gitIgnored(path, isFolder);
  });
}

/** The pools that a change of this file resets. */
export function poolsFor(rules: readonly ReloadRule[], path: string, gitIgnored: GitIgnored): string[] {
  const name = basename(path);
  const touched = rules.filter(
    (rule) => rule.patterns.some((part) => name.includes(part)) && !isIgnored(rule, path, false, gitIgnored),
  );
  return [...new Set(touched.flatMap(({ pools }) => pools))];
}
