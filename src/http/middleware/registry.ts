import type { MiddlewareRegistry } from "../middleware.ts";

export const MIDDLEWARE: MiddlewareRegistry = {};
