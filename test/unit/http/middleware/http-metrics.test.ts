import { expect } from "chai";
import { RrError } from "../../../../src/errors.ts";
import { HttpMetrics, mergedHttpMetrics, prometheusText } from "../../../../src/http/http-metrics.ts";
import { closeFrontends, send, testFrontend } from "../support.ts";

describe("http_metrics middleware", () => {
  afterEach(closeFrontends);

  it("counts and times requests by status, and refusals for want of a worker", async () => {
    const { dispatch, port, frontend } = await testFrontend({ middleware: ["http_metrics"] });
    const responses = [send(port), send(port)];
    const [first, second] = [await dispatch.next(), await dispatch.next()];
    expect(frontend.metrics().requestsInFlight).to.equal(2);
    first.answer(201, {}, "x");
    second.fail(new RrError("QUEUE_FULL", "full"));
    await Promise.all(responses);
    const left = send(port).catch(() => undefined);
    const third = await dispatch.next();
    await frontend.close(0);
    await left;
    await third.until(({ cancelled }) => cancelled);
    const metrics = frontend.metrics();
    expect(metrics).to.include({ requestsInFlight: 0, noFreeWorkers: 1 });
    const counts = Object.entries(metrics.responses).map(([status, { count }]) => [status, count]);
    expect(counts).to.deep.equal([
      ["201", 1],
      ["499", 1],
      ["503", 1],
    ]);
  });

  it("writes Prometheus' text under RoadRunner's names, of several frontends together", () => {
    let nowMs = 1_000;
    const [one, other] = [new HttpMetrics(() => nowMs), new HttpMetrics(() => nowMs)];
    nowMs = 4_500;
    for (const [metrics, status, seconds] of [
      [one, 200, 0.005],
      [one, 200, 0.3],
      [other, 200, 100],
      [other, 404, 0.5],
    ] as const) {
      metrics.requestStarted();
      metrics.requestFinished(status, seconds);
    }
    one.requestStarted();
    other.noFreeWorker();
    const text = prometheusText(mergedHttpMetrics([one.snapshot(), other.snapshot()]));
    const lines = text.split("\n");
    expect(lines).to.include.members([
      "# TYPE rr_http_requests_queue gauge",
      "rr_http_requests_queue 1",
      "rr_http_no_free_workers_total 1",
      "# TYPE rr_http_request_total counter",
      'rr_http_request_total{status="200"} 3',
      'rr_http_request_total{status="404"} 1',
      "# TYPE rr_http_request_duration_seconds histogram",
      'rr_http_request_duration_seconds_bucket{status="200",le="0.005"} 1',
      'rr_http_request_duration_seconds_bucket{status="200",le="0.25"} 1',
      'rr_http_request_duration_seconds_bucket{status="200",le="0.5"} 2',
      'rr_http_request_duration_seconds_bucket{status="200",le="60"} 2',
      'rr_http_request_duration_seconds_bucket{status="200",le="+Inf"} 3',
      'rr_http_request_duration_seconds_sum{status="404"} 0.5',
      'rr_http_request_duration_seconds_count{status="200"} 3',
      "# TYPE rr_http_uptime_seconds counter",
      "rr_http_uptime_seconds 3",
    ]);
    expect(text.endsWith("\n")).to.equal(true);
    expect(mergedHttpMetrics([])).to.deep.equal({
      requestsInFlight: 0,
      noFreeWorkers: 0,
      uptimeSeconds: 0,
      responses: {},
    });
  });
});

describe("request_id middleware", () => {
  afterEach(closeFrontends);

  it("tells the application and the client the id that logs have", async () => {
    const { dispatch, port } = await testFrontend({ middleware: ["request_id"] });
    dispatch.answerer = (call) => call.answer(200, { "X-Request-Id": "the application's" });
    for (const sent of ["abc-1", "not fit for logs"]) {
      const { headers } = await send(port, { headers: { "x-request-id": sent } });
      const { request, context } = dispatch.calls.at(-1)!;
      expect(headers["x-request-id"]).to.equal(request.requestId);
      expect((context.headers as Record<string, string[]>)["X-Request-Id"]).to.deep.equal([request.requestId]);
      expect(request.requestId === sent).to.equal(sent === "abc-1");
    }
  });
});
