import { expect } from "chai";
import { transition, WORKER_STATES, type WorkerState } from "../../../src/worker/worker-state.ts";

/** Every move there is; all others are bugs. */
const ALLOWED: Readonly<Record<WorkerState, readonly WorkerState[]>> = {
  booting: ["ready", "stopping", "killed", "exited"],
  ready: ["working", "stopping", "killed", "exited"],
  working: ["ready", "stopping", "killed", "exited"],
  stopping: ["killed", "exited"],
  killed: ["exited"],
  exited: [],
};

describe("Worker state", () => {
  for (const from of WORKER_STATES)
    for (const to of WORKER_STATES)
      if (ALLOWED[from].includes(to))
        it(`goes from ${from} to ${to}`, () => {
          expect(transition(from, to)).to.equal(to);
        });
      else
        it(`does not go from ${from} to ${to}`, () => {
          expect(() => transition(from, to)).to.throw(`from ${from} to ${to}`);
        });

  it("ends in exited from everywhere", () => {
    for (const state of WORKER_STATES.filter((one) => one !== "exited"))
      expect(transition(state, "exited")).to.equal("exited");
  });
});
