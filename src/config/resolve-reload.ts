import { resolve } from "node:path";
import type { Reload } from "../../gen/roadrunner/config/v1/configuration_pb.ts";
import type { BrowserReloadOptions, PoolOptions, ReloadOptions, ReloadRule } from "./options.ts";
import { milliseconds, type ResolutionContext } from "./resolution.ts";

/** Without `services` one rule for all pools; else a rule for each one named. Reports services that are no pools. */
export function resolveReload(
  reload: Reload,
  pools: readonly PoolOptions[],
  { workingDirectory, report }: ResolutionContext,
): ReloadOptions {
  const names = pools.map(({ name }) => name);
  const absolute = (dirs: readonly string[]) => dirs.map((dir) => resolve(workingDirectory, dir));
  const ignored = (list: readonly string[]) =>
    list.map((one) => (/[\\/]/.test(one) ? resolve(workingDirectory, one) : one));
  const parts = (list: readonly string[]) => list.map((one) => one.replace(/^\*+|\*+$/g, ""));
  const rules: ReloadRule[] = [];
  for (const [name, one] of Object.entries(reload.services)) {
    if (!names.includes(name))
      report(`reload.services.${name}`, `there is no such pool; the pools are: ${names.join(", ") || "none"}`);
    if (!one.enabled) continue;
    rules.push({
      key: `reload.services.${name}.dirs`,
      pools: [name],
      dirs: absolute(one.dirs),
      recursive: one.recursive!,
      patterns: parts([...reload.patterns, ...one.patterns]),
      ignore: ignored([...reload.ignore, ...one.ignore]),
    });
  }
  if (Object.keys(reload.services).length === 0)
    rules.push({
      key: "reload.dirs",
      pools: names,
      dirs: absolute(reload.dirs),
      recursive: true,
      patterns: parts(reload.patterns),
      ignore: ignored(reload.ignore),
    });
  return { intervalMs: milliseconds(reload.interval), polling: reload.polling!, rules };
}

export function resolveBrowserReload(reload: Reload | undefined): BrowserReloadOptions | undefined {
  return reload?.browser ? { path: reload.browserPath! } : undefined;
}
