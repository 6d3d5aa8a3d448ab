/** Waiting for what no event tells: bounded, and naming what did not come. */

const LOOK_EVERY_MS = 10;

/** Looks until `look` gives something (not undefined, not false); throws what was awaited after `limitMs`. */
export async function eventually<Found>(
  awaited: string,
  look: () => Found | undefined | false | Promise<Found | undefined | false>,
  limitMs = 8_000,
): Promise<Found> {
  const deadlineMs = performance.now() + limitMs;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    if (performance.now() > deadlineMs) throw new Error(`within ${limitMs} ms it did not happen that ${awaited}`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
}

/** What a promise gives, or an error that names what did not come in time. */
export async function within<Result>(limitMs: number, awaited: string, promise: Promise<Result>): Promise<Result> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`within ${limitMs} ms it did not happen that ${awaited}`)), limitMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
