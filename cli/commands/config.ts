import type { Command } from "../invocation.ts";
export const show: Command = async ({ core }) => {
  const response = await core.ask("reading the configuration", (client, signal) =>
    client.config.getConfig({}, { signal }),
  );
  return { data: { yaml: response.yaml }, text: () => response.yaml };
};
export const validate: Command = async () => 0;
