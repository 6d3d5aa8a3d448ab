import { addFilter } from "../answer.ts";
import type { Step } from "../middleware.ts";
import type { ResponseFilter } from "../response-filter.ts";

const NAME = "X-Request-Id";

/** `request_id`: the id that logs have of a request goes to the application and back to the client. */
export function createRequestId(): Step {
  const filter: ResponseFilter = (head, { requestId }) => {
    head.set(NAME, requestId);
    return undefined;
  };
  return (scope) => {
    scope.setRequestHeader(NAME, scope.requestId);
    addFilter(scope, filter);
    return undefined;
  };
}
