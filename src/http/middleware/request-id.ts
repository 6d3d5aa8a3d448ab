import { addFilter } from "../answer.ts";
import type { Middleware } from "../middleware.ts";
import type { ResponseFilter } from "../response-filter.ts";

const NAME = "X-Request-Id";

/** `request_id`: the id that logs have of a request goes to the application and back to the client. */
export function createRequestId(): Middleware {
  const filter: ResponseFilter = (head, { requestId }) => {
    head.set(NAME, requestId);
    return undefined;
  };
  return async (context, next) => {
    const scope = context.env;
    scope.setRequestHeader(NAME, scope.requestId);
    addFilter(scope, filter);
    await next();
  };
}
