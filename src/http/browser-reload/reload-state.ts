/** What of an event of the core matters here. */
export interface ReloadEvent {
  readonly type: string;
  readonly pool: string;
  readonly revision: bigint;
  readonly message: string;
  readonly time?: { readonly seconds: bigint; readonly nanos: number } | undefined;
}

/** What browsers are told: another version is a reason to load the page again; failures are shown. */
export interface ReloadState {
  /** Empty as long as nobody knows. */
  readonly version: string;
  /** Why a pool has its old code, by pool. */
  readonly failures: Readonly<Record<string, string>>;
}

export const UNKNOWN: ReloadState = { version: "", failures: {} };

/** The state after one more event. Revisions begin anew with each core, hence the time. */
export function afterEvent(state: ReloadState, { type, pool, revision, message, time }: ReloadEvent): ReloadState {
  const version = `${time?.seconds ?? 0}.${time?.nanos ?? 0}.${revision}`;
  if (type === "reload.watching") return state.version === "" ? { ...state, version } : state;
  if (type === "reload.failed") return { ...state, failures: { ...state.failures, [pool]: message } };
  if (type !== "reload.done") return state;
  const { [pool]: _mended, ...failures } = state.failures;
  return { version, failures };
}

/** One state of what several cores say. */
export function combined(states: readonly ReloadState[]): ReloadState {
  // Before all are heard a version would only be a part of one.
  const isKnown = states.every(({ version }) => version !== "");
  return {
    version: isKnown ? states.map(({ version }) => version).join("-") : "",
    failures: Object.assign({}, ...states.map(({ failures }) => failures)),
  };
}
