import { expect, test } from "vitest";
import { events, parseEvent } from "./sse";

test("an event has id, name and data", () => {
  expect(parseEvent('id: a-1\nevent: change\ndata: {"x":1}')).toEqual({ id: "a-1", event: "change", data: '{"x":1}' });
});

test("a comment is no event's name", () => expect(parseEvent(": still here").event).toBe("message"));

test("events are whole however the bytes are cut", async () => {
  const bytes = new TextEncoder().encode(": hi\n\nid: 1\nevent: change\ndata: é\n\n");
  const stream = new ReadableStream<Uint8Array>({
    start(c) {
      for (const b of bytes) c.enqueue(new Uint8Array([b]));
      c.close();
    },
  });
  const got = [];
  for await (const e of events(stream)) got.push(e);
  expect(got.map((e) => [e.id, e.event, e.data])).toEqual([["", "message", ""], ["1", "change", "é"]]);
});
