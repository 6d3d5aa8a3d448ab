/**
 * To be imported first: the process that started this one, before it has had time to go. What is loaded until somebody
 * looks takes long enough for npm's shell to die of a signal meanwhile.
 */
export const FIRST_PARENT_PID = process.ppid;
