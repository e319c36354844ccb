// Chat completions from large language models: complete, stream, cancel. README.md shows how it is used.

import { inspect } from "node:util";
import { Worker } from "node:worker_threads";
import koffi from "koffi";

import {
  bytes,
  c,
  ClientOptions,
  DELIVERY_PULL,
  DONE,
  FOREVER,
  INTERNAL,
  NOT_FOUND,
  readError,
  RequestOptions,
  SHUT_DOWN,
  taken,
} from "./native.js";

/** Why a call failed: what happened, where, and what to do. Holds no key. */
export class HelioError extends Error {
  constructor(told, completion = null, cause = undefined) {
    super(`${told.status}: ${told.reason}`, cause === undefined ? undefined : { cause });
    Object.assign(this, told);
    this.completion = completion;
  }

  get name() {
    return "HelioError";
  }
}

function check(status, error = null) {
  if (status === 0) return;
  const told = readError(status, error);
  if (error) c.error_free(error);
  throw new HelioError(told);
}

function jsonOf(value) {
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** A chat.completion, or one chunk of a stream: text, reasoning, its JSON as `data`, and `json()`. */
class Answer {
  constructor(told) {
    this.text = told.text;
    this.reasoning = told.reasoning;
    this.data = told.data;
    if (told.kind === DONE) this.report = told.report;
  }

  json() {
    return JSON.parse(this.data);
  }
}

const live = new Set(); // cores with a receiver: their receivers must end before the process does
process.on("exit", () => live.forEach((core) => core.shutdown()));

/** What the receiver and the streams know. It does not know the Client, so that this can be collected. */
class Core {
  sinks = new Map(); // by request
  ended = Promise.withResolvers?.() ?? resolvers();

  constructor(config) {
    const options = {};
    c.client_options_init(options, koffi.sizeof(ClientOptions));
    const text = config === undefined || config === null ? null : jsonOf(config);
    if (text !== null) Object.assign(options, { config: text, config_len: Buffer.byteLength(text) });
    const client = [null];
    const error = [null];
    check(c.client_create(options, client, error), error[0]);
    this.client = client[0];
  }

  alive() {
    if (!this.client) throw new HelioError(readError(SHUT_DOWN, null));
    return this.client;
  }

  /** The receiver is made with the first request. It holds the process open while requests live. */
  receive() {
    if (this.worker) return;
    // Without the program's own flags: --input-type and --eval are not for it.
    const settings = { workerData: this.client, execArgv: [] };
    this.worker = new Worker(new URL("./receiver.js", import.meta.url), settings);
    this.worker.on("message", (told) => (told ? this.deliver(told) : this.finish()));
    this.worker.on("error", (error) => this.fail(error));
    this.worker.unref();
    live.add(this);
  }

  submit(request, { overrides, signal } = {}, sink) {
    const [body, length] = bytes(jsonOf(request));
    const options = {};
    c.request_options_init(options, koffi.sizeof(RequestOptions));
    const id = c.reserve(this.alive());
    if (Number(id) === 0) throw new HelioError(readError(SHUT_DOWN, null));
    Object.assign(options, { delivery: DELIVERY_PULL, id });
    if (overrides !== undefined) {
      const text = jsonOf(overrides);
      Object.assign(options, { overrides: text, overrides_len: Buffer.byteLength(text) });
    }
    this.receive();
    if (signal?.aborted) this.cancel(id);
    const error = [null];
    try {
      check(c.submit(this.client, body, length, options, null, error), error[0]);
    } catch (failure) {
      if (signal?.aborted) failure.cause = signal.reason;
      throw failure;
    }
    const abort = () => this.cancel(id);
    signal?.addEventListener("abort", abort, { once: true });
    this.sinks.set(Number(id), (told) => {
      if (told.kind === DONE) signal?.removeEventListener("abort", abort);
      sink(told);
    });
    this.worker.ref();
    return id;
  }

  deliver(told) {
    const sink = this.sinks.get(told.request);
    if (told.kind === DONE) {
      this.sinks.delete(told.request);
      if (this.sinks.size === 0) this.worker.unref();
    }
    sink?.(told);
  }

  /** The receiver could not be: all who wait are told. */
  fail(cause) {
    c.client_shutdown(this.client);
    const error = { ...readError(INTERNAL, null), reason: `the receiver has failed: ${cause.message}` };
    for (const request of this.sinks.keys()) this.deliver({ kind: DONE, request, data: null, error });
    this.finish();
  }

  cancel(id) {
    if (this.client) c.cancel(this.client, id);
  }

  shutdown() {
    if (!this.client) return;
    c.client_shutdown(this.client);
    if (this.worker) this.worker.ref();
    else this.finish();
  }

  /** Nobody receives any more: the C client goes, and its threads are waited for elsewhere. */
  finish() {
    const client = this.client;
    if (!client) return;
    this.client = null;
    live.delete(this);
    c.client_destroy.async(client, FOREVER, () => this.ended.resolve());
  }
}

function resolvers() {
  const made = {};
  made.promise = new Promise((resolve, reject) => Object.assign(made, { resolve, reject }));
  return made;
}

const forgottenClients = new FinalizationRegistry((core) => core.shutdown());
const forgottenStreams = new FinalizationRegistry(([core, id]) => core.cancel(id));

/** Asks. Close it; one that is forgotten lets go by itself, and so does the end of the process. */
export class Client {
  #core;

  constructor(config) {
    this.#core = new Core(config);
    forgottenClients.register(this, this.#core);
  }

  async complete(request, options) {
    const stream = this.stream(request, options);
    for await (const _ of stream);
    return stream.completion;
  }

  stream(request, options) {
    return new Stream(this, this.#core, request, options);
  }

  setApiKey(key) {
    const [text, length] = key ? bytes(key) : [null, 0];
    check(c.client_set_api_key(this.#core.alive(), text, length));
  }

  prewarm() {
    check(c.client_prewarm(this.#core.alive()));
  }

  stats() {
    const json = [null];
    check(c.client_stats(this.#core.alive(), json));
    return JSON.parse(taken(json[0]));
  }

  async close() {
    this.#core.shutdown();
    await this.#core.ended.promise;
  }

  async [Symbol.asyncDispose ?? Symbol.for("Symbol.asyncDispose")]() {
    await this.close();
  }

  [inspect.custom]() {
    return `helio.Client { ${this.#core.client ? "open" : "closed"} }`;
  }
}

/** The chunks of one answer, for one reader. */
export class Stream {
  completion = null;
  #client; // lives as long as its streams
  #core;
  #id;
  #signal;
  #told;
  #isOver = false;

  constructor(client, core, request, options) {
    this.#client = client;
    this.#core = core;
    this.#signal = options?.signal;
    // What the core knows of a stream must not be the stream.
    const told = { waiting: [], wakes: [] };
    this.#told = told;
    try {
      this.#id = core.submit(request, options, (one) => {
        told.waiting.push(one);
        told.wakes.splice(0).forEach((wake) => wake());
      });
      forgottenStreams.register(this, [core, this.#id]);
    } catch (error) {
      told.waiting.push({ kind: DONE, data: null, failure: error });
    }
  }

  [Symbol.asyncIterator]() {
    return this;
  }

  async next() {
    const told = this.#told;
    while (!this.#isOver && told.waiting.length === 0) await new Promise((resolve) => told.wakes.push(resolve));
    if (this.#isOver) return { done: true, value: undefined };
    const one = told.waiting.shift();
    if (one.kind !== DONE) return { done: false, value: new Answer(one) };
    this.#isOver = true;
    told.wakes.splice(0).forEach((wake) => wake()); // who asked for more gets the end, too
    this.completion = one.data === null ? null : new Answer(one);
    if (one.failure) throw one.failure;
    if (one.error) {
      const isAborted = this.#signal?.aborted && one.error.status === "HELIO_ERR_CANCELLED";
      throw new HelioError(one.error, this.completion, isAborted ? this.#signal.reason : undefined);
    }
    return { done: true, value: undefined };
  }

  /** Called where a loop is left. */
  async return() {
    this.cancel();
    this.#isOver = true;
    this.#told.wakes.splice(0).forEach((wake) => wake());
    return { done: true, value: undefined };
  }

  cancel() {
    if (this.#id !== undefined) this.#core.cancel(this.#id);
  }

  [inspect.custom]() {
    return "helio.Stream";
  }
}

const forgottenChats = new FinalizationRegistry((chat) => c.chat_free(chat));

/** The messages of a conversation. Belongs to no client. */
export class Chat {
  #chat;

  constructor() {
    const chat = [null];
    check(c.chat_create(chat));
    this.#chat = chat[0];
    forgottenChats.register(this, this.#chat);
  }

  add(role, text) {
    this.#check(c.chat_add(this.#chat, role, ...bytes(text)));
  }

  addJson(message) {
    this.#check(c.chat_add_json(this.#chat, jsonOf(message)));
  }

  addReply(completion) {
    this.#check(c.chat_add_reply(this.#chat, completion.data ?? jsonOf(completion)));
  }

  addToolResult(toolCallId, text) {
    this.#check(c.chat_add_tool_result(this.#chat, toolCallId, ...bytes(text)));
  }

  get length() {
    return Number(c.chat_count(this.#chat));
  }

  remove(first, count) {
    this.#check(c.chat_remove(this.#chat, first, count));
  }

  request(parameters) {
    const body = [null];
    this.#check(c.chat_request(this.#chat, parameters === undefined ? null : jsonOf(parameters), body));
    return taken(body[0]);
  }

  #check(status) {
    if (status !== 0) throw new HelioError(readError(status, c.chat_error(this.#chat))); // it stays the chat's
  }
}

/** One value by its JSON Pointer, for numbers whose digits JSON.parse would not keep. undefined: nothing is there. */
export function jsonGet(document, pointer) {
  const value = [null];
  const status = c.json_get(...bytes(document), pointer, value);
  if (status === NOT_FOUND) return undefined;
  check(status);
  return taken(value[0]);
}

/** The version of the library that is loaded. */
export function version() {
  return c.version_string();
}
