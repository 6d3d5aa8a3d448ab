import { type Duration, durationMs } from "@bufbuild/protobuf/wkt";
import type { FileReader } from "./read-file.ts";

/** What turning the message into options needs of the world. */
export interface ResolutionContext {
  readonly configFile: string | undefined;
  readonly workingDirectory: string;
  readonly readFile: FileReader;
  /** Says what is wrong with the value at a path. */
  readonly report: (path: string, message: string, severity?: "error" | "warning") => void;
  readonly reportMissing: (path: string, message: string) => void;
}

export function milliseconds(duration: Duration | undefined): number {
  return duration ? durationMs(duration) : 0;
}

/** RoadRunner's names are upper case, whatever the file has. */
export function environmentNames(env: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(env).map(([name, value]) => [name.toUpperCase(), value]));
}
