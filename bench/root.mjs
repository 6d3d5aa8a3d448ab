import { fileURLToPath } from "node:url";

/** The directory of the project. */
export const ROOT = fileURLToPath(new URL("..", import.meta.url));
