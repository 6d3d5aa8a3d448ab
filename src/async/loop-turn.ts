let turn = 0;
let ends = false;

/**
 * Number of the present turn of the event loop. What was ready to be read when a turn began is read in that turn, so two
 * things of which one was written before the other are seen in the same turn or in the right order. Asked once or a
 * thousand times in a turn, it costs one callback.
 */
export function loopTurn(): number {
  if (!ends) {
    ends = true;
    setImmediate(() => {
      ends = false;
      turn++;
    });
  }
  return turn;
}
