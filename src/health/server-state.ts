/** Where a server is in its life, and where it can go from there. */
const NEXT_STATES = {
  starting: ["serving", "draining", "stopping"],
  serving: ["draining", "stopping"],
  /** Drained by an operator: it takes no calls until it is told to. */
  draining: ["serving", "stopping"],
  stopping: [],
} as const satisfies Record<string, readonly string[]>;

export type ServerStateName = keyof typeof NEXT_STATES;

export const SERVER_STATES = Object.keys(NEXT_STATES) as ServerStateName[];

/** What a server is doing, and what its start waits for. */
export class ServerLife {
  #state: ServerStateName = "starting";
  #started = false;
  #waitsFor = "";
  /** A drain was asked for before there was something to drain. */
  #drainWanted = false;

  get state(): ServerStateName {
    return this.#state;
  }

  /** Its start came to its end. */
  get started(): boolean {
    return this.#started;
  }

  /** What the start waits for: `server.on_init "php init.php"`. */
  get waitsFor(): string {
    return this.#waitsFor;
  }

  waitFor(what: string): void {
    this.#waitsFor = what;
  }

  /** The start is over. Answers whether a drain was asked for meanwhile: then it does not take calls yet. */
  start(): { drained: boolean } {
    this.#started = true;
    this.#move(this.#drainWanted ? "draining" : "serving");
    return { drained: this.#drainWanted };
  }

  /** Answers whether there is something to drain now; while the server starts it is remembered. */
  drain(): boolean {
    this.#drainWanted = true;
    if (this.#state === "serving") this.#move("draining");
    return this.#state !== "starting";
  }

  /** Answers whether calls are taken again; false in a server that ends. */
  undrain(): boolean {
    this.#drainWanted = false;
    if (this.#state === "draining") this.#move("serving");
    return this.#state !== "stopping";
  }

  stop(): void {
    if (this.#state !== "stopping") this.#move("stopping");
  }

  /** A move that the table does not have is a bug and throws. */
  #move(to: ServerStateName): void {
    if (!(NEXT_STATES[this.#state] as readonly ServerStateName[]).includes(to))
      throw new Error(`a server cannot go from ${this.#state} to ${to}`);
    this.#state = to;
  }
}
