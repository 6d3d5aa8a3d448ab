/** No key is as long; comparing costs the product of both lengths. */
const LENGTH_MAX = 50;

/**
 * The candidate that was probably meant by a word: the one that is spelled most like it if it is near enough, else the
 * only one that contains it. Of two that are as near the one with the same letters is meant: hands swap more than they
 * invent.
 */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  const plain = normalized(word);
  if (plain.length > LENGTH_MAX) return undefined;
  let best: string | undefined;
  let bestDistance = Math.max(1, Math.round(plain.length / 3)) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(plain, normalized(candidate));
    if (distance > bestDistance) continue;
    if (distance === bestDistance && (best === undefined || lettersOf(candidate) !== lettersOf(plain))) continue;
    best = candidate;
    bestDistance = distance;
  }
  if (best !== undefined || plain.length < 4) return best;
  const containing = candidates.filter((candidate) => normalized(candidate).includes(plain));
  return containing.length === 1 ? containing[0] : undefined;
}

/** "numWorkers", "num-workers" and "num_workers" are spelled the same. */
function normalized(word: string): string {
  return word.toLowerCase().replace(/[_\-\s]/g, "");
}

function lettersOf(word: string): string {
  return [...normalized(word)].sort().join("");
}

/** Insertions, deletions, replacements and swaps of neighbours that make one word of the other. */
export function editDistance(one: string, other: string): number {
  const rows: number[][] = [Array.from({ length: other.length + 1 }, (_, at) => at)];
  for (let i = 1; i <= one.length; i++) {
    const row = [i];
    for (let j = 1; j <= other.length; j++) {
      const cost = one[i - 1] === other[j - 1] ? 0 : 1;
      let least = Math.min(rows[i - 1]![j]! + 1, row[j - 1]! + 1, rows[i - 1]![j - 1]! + cost);
      if (i > 1 && j > 1 && one[i - 1] === other[j - 2] && one[i - 2] === other[j - 1])
        least = Math.min(least, rows[i - 2]![j - 2]! + 1);
      row.push(least);
    }
    rows.push(row);
  }
  return rows[one.length]![other.length]!;
}
