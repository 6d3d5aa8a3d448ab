/**
 * To be imported first: Node's own answer to SIGUSR1 is to open a debugger, through which every user of the machine runs
 * code as this one. A listener is enough to take the signal from it; who has a use for the signal adds another.
 */
process.on("SIGUSR1", () => {});
