// Does what a line of bindings/scenarios.json tells it to.

import { createInterface } from "node:readline";
import { setImmediate } from "node:timers/promises";
import { inspect } from "node:util";

import { Chat, Client, HelioError } from "../index.js";

function outcome(error, completion, more = {}) {
  const told = { status: error?.status ?? "HELIO_OK", texts: [], error: null, shown: `${error} ${inspect(error)}`, ...more };
  told.data = (completion ?? error?.completion)?.data ?? null;
  if (error) {
    const { reason: message, code, type, httpStatus: http_status, retryAfterMs: retry_after_ms, body, report } = error;
    told.error = { message, code, type, http_status, retry_after_ms, body, report };
  }
  return told;
}

async function attempt(work) {
  const more = {};
  try {
    return outcome(null, await work(more), more);
  } catch (error) {
    if (!(error instanceof HelioError)) throw error;
    return outcome(error, null, more);
  }
}

async function read(stream, more, atFirst) {
  more.texts = [];
  for await (const chunk of stream) {
    if (!chunk.text) continue;
    more.texts.push(chunk.text);
    if (more.texts.length === 1) globalThis.setImmediate(() => atFirst?.());
  }
  return stream.completion;
}

async function firstText(stream) {
  for (;;) {
    const { value } = await stream.next();
    if (value.text) return value.text;
  }
}

const actions = {
  create: () => attempt(() => null),
  complete: (client, { request }) => attempt(() => client.complete(request)),
  stream: (client, { request }) => attempt((more) => read(client.stream(request), more)),
  cancel_before: (client, { request }) =>
    attempt((more) => read(client.stream(request, { signal: AbortSignal.abort() }), more)),
  cancel_during: (client, { request }) =>
    attempt((more) => {
      const controller = new AbortController();
      return read(client.stream(request, { signal: controller.signal }), more, () => controller.abort());
    }),
  cancel_after: (client, { request }) =>
    attempt(async (more) => {
      const controller = new AbortController();
      const completion = await read(client.stream(request, { signal: controller.signal }), more);
      controller.abort();
      return completion;
    }),
  many: (client, { request, count }) =>
    attempt(async (more) => {
      const asked = (number) => client.complete(JSON.stringify(request).replaceAll("#N#", `${number}`));
      const answers = await Promise.all(Array.from({ length: count }, (_, number) => asked(number)));
      more.right = answers.filter((answer, number) => answer.text === `You said: ${number}`).length;
    }),
  leave: (client, { request }) =>
    attempt(async (more) => {
      more.status = "LEFT";
      for await (const chunk of client.stream(request)) {
        more.texts = [chunk.text];
        if (chunk.text) break;
      }
    }),
  drop: async (client, { request }) => {
    const told = await attempt(async (more) => {
      more.status = "LEFT";
      more.texts = [await firstText(client.stream(request))];
    });
    for (let turn = 0; turn < 5; turn++) {
      await setImmediate();
      globalThis.gc();
    }
    return told;
  },
  close: (client, { request }) => attempt((more) => read(client.stream(request), more, () => client.close())),
  tools: (client, { request }) =>
    attempt(async () => {
      const { messages, ...parameters } = request;
      const chat = new Chat();
      chat.addJson(messages);
      const reply = await client.complete(chat.request(parameters));
      chat.addReply(reply);
      chat.addToolResult(reply.json().choices[0].message.tool_calls[0].id, "42");
      return client.complete(chat.request(parameters));
    }),
};

let open = null;
for await (const line of createInterface({ input: process.stdin })) {
  await open?.close();
  open = null;
  const asked = JSON.parse(line);
  let client = null;
  let told = await attempt(() => {
    client = new Client(asked.config);
    return null;
  });
  if (client) {
    told = await actions[asked.do](client, asked);
    if (asked.do === "leave" || asked.do === "drop") open = client;
    else await client.close();
    told.shown += `${inspect(client, { depth: 9, showHidden: true })} ${JSON.stringify(client)}`;
  }
  console.log(JSON.stringify(told));
}
