// What the table of scenarios does not have, because it is Node's own.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import { readdirSync } from "node:fs";
import { after, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { inspect } from "node:util";

import { Chat, Client, HelioError, jsonGet } from "../index.js";

const ask = { model: "m", messages: [{ role: "user", content: "Hi" }] };
const askStream = { ...ask, stream: true };
const index = fileURLToPath(new URL("../index.js", import.meta.url));

let left = 0;
const held = new Set();

// Streams a word and holds the answer until it is let go or the client has left, or answers whole.
const server = createServer(async (request, response) => {
  let body = "";
  for await (const piece of request) body += piece;
  if (!JSON.parse(body).stream) {
    const choices = [{ index: 0, message: { content: "Hello" }, finish_reason: "stop" }];
    response.end(JSON.stringify({ choices }));
    return;
  }
  response.setHeader("content-type", "text/event-stream");
  response.write('data: {"choices":[{"index":0,"delta":{"content":"word"}}]}\n\n');
  held.add(response);
  response.on("close", () => held.delete(response) && left++);
});
await once(server.listen(0, "127.0.0.1"), "listening");
after(() => server.closeAllConnections() ?? server.close());

const config = { base_url: `http://127.0.0.1:${server.address().port}/v1`, api_key: "sk-secret" };

function letGo() {
  for (const response of held) {
    response.end('data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n');
  }
  held.clear();
}

async function eventually(holds) {
  for (let turn = 0; !holds(); turn++) {
    assert.ok(turn < 3000, "it never happened");
    await delay(10);
  }
}

async function isShutDown(work) {
  await assert.rejects(async () => work(), { name: "HelioError", status: "HELIO_ERR_SHUT_DOWN" });
}

test("an abort cancels, and its reason is the cause", async () => {
  const client = new Client(config);
  const before = left;
  const reason = new Error("not wanted any more");
  const controller = new AbortController();
  const stream = client.stream(askStream, { signal: controller.signal });
  assert.equal((await stream.next()).value.text, "word");
  controller.abort(reason);
  await assert.rejects(stream.next(), (error) => {
    assert.ok(error instanceof HelioError && error.status === "HELIO_ERR_CANCELLED");
    assert.equal(error.cause, reason);
    assert.equal(error.completion.text, "word");
    return true;
  });
  await eventually(() => left > before);
  await assert.rejects(client.complete(ask, { signal: AbortSignal.abort(reason) }), { cause: reason });
  await client.close();
});

test("a time-out of a signal is one", async () => {
  const client = new Client(config);
  await assert.rejects(client.complete(askStream, { signal: AbortSignal.timeout(50) }), (error) => {
    return error.cause.name === "TimeoutError" && error.status === "HELIO_ERR_CANCELLED";
  });
  await client.close();
});

test("many streams need no thread each", { skip: process.platform !== "linux" }, async () => {
  const client = new Client(config);
  const streams = Array.from({ length: 40 }, () => client.stream(askStream));
  for (const stream of streams) assert.equal((await stream.next()).value.text, "word");
  const threads = readdirSync("/proc/self/task").length;
  assert.ok(threads < 60, `${threads} threads`);
  letGo();
  for (const stream of streams) {
    for await (const _ of stream);
    assert.equal(stream.completion.text, "word");
  }
  assert.equal(client.stats().succeeded, 40);
  await client.close();
});

test("chunks may be asked for before they come", async () => {
  const client = new Client(config);
  const stream = client.stream(askStream);
  const asked = Array.from({ length: 4 }, () => stream.next());
  assert.equal((await asked[0]).value.text, "word");
  letGo();
  const rest = await Promise.all(asked.slice(1));
  assert.deepEqual(rest.map(({ done }) => done), [false, true, true]);
  await client.close();
});

test("close may come twice, and a closed client refuses", async () => {
  for (const first of [() => null, (client) => client.complete(ask)]) {
    const client = new Client(config);
    await first(client);
    await Promise.all([client.close(), client.close()]);
    await client.close();
    await isShutDown(() => client.complete(ask));
    await isShutDown(() => client.prewarm());
    await isShutDown(() => client.stats());
    await isShutDown(() => client.setApiKey("x"));
    assert.equal(inspect(client), "helio.Client { closed }");
  }
});

test("a forgotten client lets go", async () => {
  const before = left;
  await (async () => {
    const { value } = await new Client(config).stream(askStream).next();
    assert.equal(value.text, "word");
  })();
  await eventually(() => {
    globalThis.gc();
    return left > before;
  });
});

test("text goes out as it is written, and numbers keep their digits", async () => {
  const client = new Client(JSON.stringify(config));
  assert.equal((await client.complete(JSON.stringify(ask))).text, "Hello");
  await assert.rejects(client.complete("[]"), { status: "HELIO_ERR_INVALID_JSON" });
  await assert.rejects(client.complete(ask, { overrides: { nothing: 1 } }), { status: "HELIO_ERR_INVALID_ARGUMENT" });
  assert.equal(jsonGet('{"a":[1.50]}', "/a/0"), "1.50");
  assert.equal(jsonGet("{}", "/a"), undefined);
  await client.close();
});

test("a chat says what it does not take", () => {
  const chat = new Chat();
  chat.add("user", "Hi ✓");
  chat.add("user", "");
  assert.throws(() => chat.add("nobody", "x"), { status: "HELIO_ERR_INVALID_ARGUMENT" });
  assert.equal(JSON.parse(chat.request()).messages[0].content, "Hi ✓");
  chat.remove(0, 2);
  assert.equal(chat.length, 0);
});

for (const [name, end] of Object.entries({
  "by itself, when nothing runs": "",
  "by process.exit in the middle of a stream": "process.exit(0)",
  "by an error that nobody catches": "throw new Error('its own fault')",
})) {
  test(`a program that does not close ends ${name}`, async () => {
    const program = `
      import { Client } from ${JSON.stringify(index)};
      const client = new Client(${JSON.stringify(config)});
      await client.complete(${JSON.stringify(ask)});
      ${end && `await client.stream(${JSON.stringify(askStream)}).next();`}
      console.log("asked");
      ${end}`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", program], { stdio: ["ignore", "pipe", "ignore"] });
    const late = setTimeout(() => child.kill("SIGKILL"), 60000);
    let out = "";
    child.stdout.on("data", (data) => (out += data));
    const [code, signal] = await once(child, "close");
    clearTimeout(late);
    assert.deepEqual([out, code, signal], ["asked\n", end.startsWith("throw") ? 1 : 0, null]);
  });
}
