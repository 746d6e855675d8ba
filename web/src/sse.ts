// Server-sent events, read from the body of an answer.

export interface ServerEvent {
  id: string;
  event: string;
  data: string;
}

export async function* events(body: ReadableStream<Uint8Array>): AsyncGenerator<ServerEvent> {
  const reader = body.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    rest += value;
    let end: number;
    while ((end = rest.indexOf("\n\n")) >= 0) {
      yield parseEvent(rest.slice(0, end));
      rest = rest.slice(end + 2);
    }
  }
}

export function parseEvent(block: string): ServerEvent {
  const e: ServerEvent = { id: "", event: "message", data: "" };
  for (const line of block.split("\n")) {
    const colon = line.indexOf(":");
    if (colon <= 0) continue;
    const value = line.slice(colon + 1).replace(/^ /, "");
    switch (line.slice(0, colon)) {
      case "id":
        e.id = value;
        break;
      case "event":
        e.event = value;
        break;
      case "data":
        e.data += (e.data ? "\n" : "") + value;
    }
  }
  return e;
}
