import { create, toBinary } from "@bufbuild/protobuf";
import { expect } from "chai";
import {
  DispatchService,
  DispatchStreamRequestSchema,
} from "../../../gen/roadrunner/dispatch/v1/dispatch_service_pb.ts";
import {
  EventFilterSchema,
  EventService,
  ListEventsRequestSchema,
} from "../../../gen/roadrunner/event/v1/event_service_pb.ts";
import { RrError } from "../../../src/errors.ts";
import { hasMoreFields } from "../../../src/grpc/field-count.ts";
import { requireDecoded, serviceDefinition } from "../../../src/grpc/service-definition.ts";

describe("Fields of a message", () => {
  const events = (types: number) =>
    toBinary(
      ListEventsRequestSchema,
      create(ListEventsRequestSchema, {
        filter: create(EventFilterSchema, { types: new Array(types).fill("") }),
        limit: 7,
      }),
    );

  it("are counted with those inside of others", () => {
    // The types, the filter itself, and the limit.
    for (const [limit, more] of [
      [1_001, true],
      [1_002, false],
    ] as const)
      expect(hasMoreFields(ListEventsRequestSchema, events(1_000), limit), String(limit)).to.equal(more);
  });

  it("are counted if nobody knows them, and cost no more than the limit", () => {
    const unknown = Buffer.alloc(60 << 20, Buffer.from([0xf8, 0x07, 0x01]));
    const startedMs = performance.now();
    expect(hasMoreFields(ListEventsRequestSchema, unknown, 100_000)).to.equal(true);
    expect(performance.now() - startedMs).to.be.below(1_000);
  });

  it("end with the bytes, whatever those are", () => {
    for (const bytes of [[0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f], new Array(500).fill(0x80), new Array(500).fill(0x0b)])
      hasMoreFields(ListEventsRequestSchema, Uint8Array.from(bytes), 10);
  });

  it("do not matter in what is small or has few, however large", () => {
    const body = Buffer.alloc(8 << 20);
    const request = create(DispatchStreamRequestSchema, {
      commands: [{ callId: 1, command: { case: "open", value: { body } } }],
    });
    const bytes = toBinary(DispatchStreamRequestSchema, request);
    expect(hasMoreFields(DispatchStreamRequestSchema, bytes, 100)).to.equal(false);
  });
});

describe("A request", () => {
  const { listEvents } = serviceDefinition(EventService).methods;
  const { dispatchStream, dispatch } = serviceDefinition(DispatchService).methods;

  it("that carries no payload has a limit of its own, and one for its fields", () => {
    for (const bytes of [Buffer.alloc((4 << 20) + 1), Buffer.alloc(400_000, Buffer.from([0x0a, 0]))])
      expect(() => requireDecoded(listEvents.requestType.decode(bytes)))
        .to.throw(RrError)
        .with.property("reason", "PAYLOAD_TOO_LARGE");
    const commands = Buffer.alloc(1 << 20, Buffer.from([0x0a, 0]));
    expect(() => requireDecoded(dispatchStream.requestType.decode(commands))).to.throw(RrError, "100000 fields");
  });

  it("loses what nobody knows", () => {
    const decoded = listEvents.requestType.decode(Buffer.from([0xf8, 0x07, 0x01]));
    requireDecoded(decoded);
    expect(decoded.$unknown).to.equal(undefined);
  });

  it("with a payload may be as large as messages may", () => {
    const { requestType } = dispatch;
    const request = requestType.fromPartial({ payload: { body: Buffer.alloc(5 << 20) } });
    expect(requestType.decode(requestType.encode(request).finish()).payload!.body).to.have.length(5 << 20);
  });
});
