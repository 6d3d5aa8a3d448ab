/** Where what nobody caught arrives: the process. */
interface CrashSource {
  on(event: "uncaughtException" | "unhandledRejection", listener: (thrown: unknown) => void): unknown;
}

/** Hands on what nobody caught, instead of Node's end of the process in the middle of everything. */
export function handleCrashes(crashed: (thrown: unknown) => void, source: CrashSource = process): void {
  source.on("uncaughtException", crashed);
  source.on("unhandledRejection", crashed);
}
