import type { LoadedConfiguration } from "../config/load.ts";

export function configService(loaded: LoadedConfiguration) {
  return {
    async getConfig() {
      return { yaml: loaded.yaml };
    },
  };
}
