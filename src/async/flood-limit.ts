import type { Clock } from "../clock.ts";

export interface FloodLimitSettings {
  /** How many in a row are told at once. */
  readonly burst: number;
  /** How often one is told after that. */
  readonly intervalMs: number;
}

interface Bucket<Item> {
  /** How many may be told at once, and when that was counted. */
  tokens: number;
  countedAtMs: number;
  /** Left out since the last one that was told. */
  leftOut: number;
  last: Item | undefined;
}

/** Kinds are few: types and reasons of ours, names of pools. Should there be more, they share a place. */
const KEYS_MAX = 1_000;
const OTHERS = "";

/**
 * Tells of things that others can cause as often as they like: the first few of each kind at once, then one in a while, with
 * how many were left out. None is forgotten: the last of a flood is told, too, an interval after it at most.
 */
export class FloodLimit<Item> {
  readonly #clock: Clock;
  readonly #settings: FloodLimitSettings;
  readonly #tell: (item: Item, leftOut: number) => void;
  readonly #buckets = new Map<string, Bucket<Item>>();

  /** @param tell `leftOut`: how many of the kind, beside this one, were not told since the last one that was */
  constructor(clock: Clock, settings: FloodLimitSettings, tell: (item: Item, leftOut: number) => void) {
    this.#clock = clock;
    this.#settings = settings;
    this.#tell = tell;
  }

  /** @param kind what is limited together */
  add(kind: string, item: Item): void {
    const bucket = this.#bucket(kind);
    if (bucket.leftOut === 0 && this.#takeToken(bucket)) return this.#tell(item, 0);
    bucket.last = item;
    if (bucket.leftOut++ === 0) this.#clock.after(this.#settings.intervalMs, () => this.#tellLast(bucket));
  }

  #bucket(kind: string): Bucket<Item> {
    const key = this.#buckets.has(kind) || this.#buckets.size < KEYS_MAX ? kind : OTHERS;
    let bucket = this.#buckets.get(key);
    if (!bucket) {
      bucket = { tokens: this.#settings.burst, countedAtMs: this.#clock.monotonicMs(), leftOut: 0, last: undefined };
      this.#buckets.set(key, bucket);
    }
    return bucket;
  }

  #takeToken(bucket: Bucket<Item>): boolean {
    const { burst, intervalMs } = this.#settings;
    const nowMs = this.#clock.monotonicMs();
    const gained = Math.floor((nowMs - bucket.countedAtMs) / intervalMs);
    bucket.tokens = Math.min(burst, bucket.tokens + gained);
    bucket.countedAtMs = bucket.tokens === burst ? nowMs : bucket.countedAtMs + gained * intervalMs;
    if (bucket.tokens === 0) return false;
    bucket.tokens--;
    return true;
  }

  #tellLast(bucket: Bucket<Item>): void {
    const { leftOut } = bucket;
    const last = bucket.last as Item;
    bucket.leftOut = 0;
    bucket.last = undefined;
    // This one takes what was gained meanwhile.
    this.#takeToken(bucket);
    this.#tell(last, leftOut - 1);
  }
}
