/** Metadata in which a client says who it is, for people who read events: "alice, rrctl, pid 4711". Nothing depends on it. */
export const CALLER_METADATA = "rr-caller";
