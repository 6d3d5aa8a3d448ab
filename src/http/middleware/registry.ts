import type { MiddlewareRegistry } from "../middleware.ts";
import { createCompression } from "./compression.ts";
import { createHeaders } from "./headers.ts";
import { createHttpMetrics } from "./http-metrics.ts";
import { createProxyIp } from "./proxy-ip.ts";
import { createRequestId } from "./request-id.ts";
import { createSendfile } from "./sendfile.ts";
import { createStatic } from "./static.ts";

/** What `http.middleware` can name. */
export const MIDDLEWARE: MiddlewareRegistry = {
  headers: createHeaders,
  gzip: createCompression,
  static: createStatic,
  sendfile: createSendfile,
  proxy_ip_parser: createProxyIp,
  http_metrics: createHttpMetrics,
  request_id: createRequestId,
};
