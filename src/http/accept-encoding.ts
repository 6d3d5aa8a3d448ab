/** Weights by encoding, as the header has them; "*" stands for all that are not named. */
type Weights = ReadonlyMap<string, number>;

/** Browsers send a handful of different headers. */
const CACHED_MAX = 256;
/** Longer ones are read each time. */
const CACHED_CHARS_MAX = 256;
const cache = new Map<string, Weights>();

/**
 * The encoding that a client wants most; of those it wants equally, the first of `offered`. Undefined: none of them, or
 * it would rather have none at all.
 */
export function preferredEncoding<Encoding extends string>(
  header: string | undefined,
  offered: readonly Encoding[],
): Encoding | undefined {
  if (header === undefined || header === "") return undefined;
  const weights = weightsOf(header);
  const others = weights.get("*") ?? 0;
  let best: Encoding | undefined;
  // "identity" is acceptable without being named, but then anything that is named is wanted more.
  let bestWeight = weights.get("identity") ?? 0;
  let found = false;
  for (const encoding of offered) {
    const weight = weights.get(encoding) ?? others;
    if (weight === 0 || weight < bestWeight || (found && weight === bestWeight)) continue;
    best = encoding;
    bestWeight = weight;
    found = true;
  }
  return best;
}

function weightsOf(header: string): Weights {
  let weights = cache.get(header);
  if (weights === undefined) {
    weights = parse(header);
    if (header.length > CACHED_CHARS_MAX) return weights;
    if (cache.size >= CACHED_MAX) cache.clear();
    cache.set(header, weights);
  }
  return weights;
}

function parse(header: string): Weights {
  const weights = new Map<string, number>();
  for (const part of header.split(",")) {
    const [name = "", ...parameters] = part.split(";").map((text) => text.trim().toLowerCase());
    if (name === "") continue;
    const q = parameters.find((parameter) => parameter.startsWith("q="));
    const weight = q === undefined ? 1 : Number(q.slice(2));
    weights.set(name === "x-gzip" ? "gzip" : name, weight >= 0 && weight <= 1 ? weight : 0);
  }
  return weights;
}
