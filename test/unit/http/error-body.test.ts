import { expect } from "chai";
import { RrError } from "../../../src/errors.ts";
import { errorBody, escapeHtml, type ToldError } from "../../../src/http/error-body.ts";

describe("bodies of errors", () => {
  const metadata = { stray_output: "<dump>", last_output: "PHP Fatal error" };
  const error = new RrError("WORKER_EXITED", "<it> & ended", { metadata });
  const told = (more: Partial<ToldError>): [type: string, body: string] => {
    const common = {
      accept: undefined,
      request: "GET /<a>",
      status: 502,
      debug: false,
      explain: false,
      requestId: "id",
    };
    const [type, body] = errorBody({ ...common, error, ...more });
    return [type, body.toString()];
  };
  const BROWSER = "text/html,application/xhtml+xml,*/*;q=0.8";

  it("are empty without debug, or explain what everybody may know", () => {
    expect(told({})).to.deep.equal(["", ""]);
    expect(told({ accept: BROWSER })).to.deep.equal(["", ""]);
    expect(told({ explain: true })).to.deep.equal(["text/plain; charset=utf-8", "<it> & ended\n"]);
  });

  it("are problem documents for who asks, and say only what they may", () => {
    const accept = "application/problem+json, text/html";
    const problem = { type: "about:blank", title: "Bad Gateway", status: 502, request_id: "id" };
    const parsed = (more: Partial<ToldError>) => JSON.parse(told({ accept, ...more })[1]);
    expect(parsed({})).to.deep.equal(problem);
    expect(parsed({ explain: true })).to.deep.equal({ ...problem, detail: "<it> & ended" });
    expect(parsed({ debug: true })).to.deep.equal({
      ...problem,
      detail: "<it> & ended",
      reason: "WORKER_EXITED",
      ...metadata,
    });
  });

  it("of debug mode are pages for browsers in which everything from outside is text", () => {
    const [type, page] = told({ debug: true, accept: BROWSER });
    expect(type).to.equal("text/html; charset=utf-8");
    for (const part of [
      "502 Bad Gateway",
      "GET /&lt;a&gt;",
      "&lt;it&gt; &amp; ended",
      "&lt;dump&gt;",
      "PHP Fatal error",
    ])
      expect(page).to.contain(part);
    expect(page).not.to.match(/<(a|it|dump)>/);
    expect(escapeHtml(`<>&"'`)).to.equal("&lt;&gt;&amp;&quot;&#39;");
  });

  it("of debug mode are plain text for others, without titles of what is not there", () => {
    const [type, text] = told({ debug: true });
    expect(type).to.equal("text/plain; charset=utf-8");
    expect(text).to.match(/^WORKER_EXITED: <it> & ended\n\n.*:\n<dump>\n\n.*:\nPHP Fatal error\n$/);
    expect(told({ debug: true, error: new RrError("INTERNAL", "bug") })[1]).to.equal("INTERNAL: bug\n");
  });
});
