import type { Reader } from "./reader.ts";
import { entryOf, isEmpty, type MapNode, shown } from "./source-node.ts";

const FORMAT_VERSION = "3";

/**
 * Says what is wrong with the version of a file in more words than its bounds could, and returns the file without it
 * then.
 */
export function checkVersion(root: MapNode, reader: Reader): MapNode {
  const entry = entryOf(root, "version");
  if (!entry || isEmpty(entry.node)) return root;
  const { node } = entry;
  if (node.kind === "scalar" && (node.unknown || node.value === FORMAT_VERSION)) return root;
  const number = node.kind === "scalar" ? Number(node.value) : Number.NaN;
  const right = `write \`version: "${FORMAT_VERSION}"\``;
  const advice =
    number === 3
      ? `it is text and needs quotes: ${right}`
      : number >= 2 && number < 3
        ? `this is a file of RoadRunner 2: ${right} and see what else is reported then`
        : right;
  reader.report(node.place, "version", `expected "${FORMAT_VERSION}", got ${shown(node)}; ${advice}`);
  return { ...root, entries: root.entries.filter((other) => other !== entry) };
}
