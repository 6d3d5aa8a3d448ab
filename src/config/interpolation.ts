export type Environment = Readonly<Record<string, string | undefined>>;

const REFERENCE = /\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-((?:[^{}]|\{[^{}]*\})*))?\}|\$([A-Za-z_][A-Za-z0-9_]*)/g;

/**
 * Replaces ${NAME}, $NAME and ${NAME:-default} by the environment. What is not set becomes empty; with a default, what
 * is not set or empty becomes the default. A dollar sign without a name stays.
 */
export function interpolate(text: string, env: Environment): string {
  if (!text.includes("$")) return text;
  return text.replace(REFERENCE, (_all, braced?: string, fallback?: string, bare?: string) => {
    const value = env[(braced ?? bare)!] ?? "";
    return value === "" && fallback !== undefined ? interpolate(fallback, env) : value;
  });
}
