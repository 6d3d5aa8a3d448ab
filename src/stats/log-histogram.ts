/** Each doubling of the value has so many buckets: what is told of a value is wrong by a thousandth at most. */
const BUCKET_BITS = 9;
const BUCKETS = 1 << BUCKET_BITS;
/** Larger values are taken for the largest one. */
const VALUE_MAX = 2 ** 32 - 1;
const DOUBLINGS = 32 - BUCKET_BITS + 1;

/** How whole numbers are spread, in buckets that grow with the value: 48 KB, made with the first value. */
export class LogHistogram {
  #counts: Uint32Array | undefined;
  count = 0;
  #sum = 0;
  max = 0;

  get mean(): number {
    return this.count === 0 ? 0 : this.#sum / this.count;
  }

  record(value: number): void {
    this.#counts ??= new Uint32Array(BUCKETS * DOUBLINGS);
    const bounded = Math.min(value, VALUE_MAX) >>> 0;
    this.#counts[bucketOf(bounded)]!++;
    this.count++;
    this.#sum += value;
    if (value > this.max) this.max = value;
  }

  /** The values below which so many percent of all are, of several histograms together. */
  static percentiles(histograms: readonly LogHistogram[], percents: readonly number[]): number[] {
    const count = histograms.reduce((sum, histogram) => sum + histogram.count, 0);
    const max = Math.max(...histograms.map((histogram) => histogram.max));
    const filled = histograms.flatMap((histogram) => (histogram.#counts ? [histogram.#counts] : []));
    const values: number[] = [];
    let seen = 0;
    for (let bucket = 0; bucket < BUCKETS * DOUBLINGS && values.length < percents.length; bucket++) {
      for (const counts of filled) seen += counts[bucket]!;
      while (values.length < percents.length && seen > 0 && seen >= (count * percents[values.length]!) / 100)
        values.push(Math.min(max, middleOf(bucket)));
    }
    while (values.length < percents.length) values.push(max);
    return values;
  }
}

/** Small values have a bucket each; then every doubling has half as many as there are small ones, twice as wide. */
function bucketOf(value: number): number {
  if (value < BUCKETS) return value;
  const doubling = 32 - Math.clz32(value) - BUCKET_BITS;
  return doubling * BUCKETS + (value >>> doubling);
}

function middleOf(bucket: number): number {
  const doubling = Math.floor(bucket / BUCKETS);
  if (doubling === 0) return bucket;
  const first = (bucket - doubling * BUCKETS) * 2 ** doubling;
  return first + (2 ** doubling - 1) / 2;
}
