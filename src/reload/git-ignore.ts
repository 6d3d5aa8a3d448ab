import { readFileSync } from "node:fs";
import { join, relative, sep } from "node:path";
import ignore from "ignore";
import type { GitIgnored } from "./selection.ts";

/** What the .gitignore of a folder leaves out; nothing if there is none. */
export function readGitIgnore(root: string): GitIgnored {
  let text: string;
  try {
    text = readFileSync(join(root, ".gitignore"), "utf8");
  } catch {
    return () => false;
  }
  const rules = ignore().add(text);
  return (path, isFolder) => {
    const inside = relative(root, path).split(sep).join("/");
    if (inside === "" || inside.startsWith("..")) return false;
    return rules.ignores(isFolder ? `${inside}/` : inside);
  };
}
