/** JSON as text goes out byte for byte; anything else through JSON.stringify. */
export type Json = string | object;

export interface RequestOptions {
  /** Cancels the request at any time; one that is aborted already is never sent. */
  signal?: AbortSignal;
  /** Config for this one request. */
  overrides?: Json;
}

export interface Chunk {
  /** What choice 0 says in it; often nothing. */
  readonly text: string;
  readonly reasoning: string;
  /** Its JSON, as the server sent it. */
  readonly data: string;
  json(): any;
}

export interface Completion extends Chunk {
  /** The evidence, JSON: attempts, times, usage, what the gateway said. */
  readonly report: string;
}

/** Why a call failed: what happened, where, and what to do. Holds no key. `cause` is the signal's reason where that was the cause. */
export class HelioError extends Error {
  /** Like "HELIO_ERR_TIMEOUT". */
  readonly status: string;
  readonly statusNumber: number;
  /** The sentence alone; `message` has the status before it. */
  readonly reason: string;
  /** 0 before a response. */
  readonly httpStatus: number;
  /** The server's code; of HELIO_ERR_TIMEOUT "connect", "first_event", "idle" or "total". */
  readonly code: string | null;
  readonly type: string | null;
  /** What the server said, its first MiB. */
  readonly body: string | null;
  /** Milliseconds to wait before another try; -1: another try makes no sense. */
  readonly retryAfterMs: number;
  /** The evidence, JSON; null if nothing was sent. */
  readonly report: string | null;
  /** The answer as far as it had come. */
  readonly completion: Completion | null;
}

export class Client {
  /** No config: the environment (HELIO_BASE_URL, HELIO_API_KEY). Throws HelioError that names the key to change. */
  constructor(config?: Json);
  /** Ask, and wait for the whole answer. */
  complete(request: Json, options?: RequestOptions): Promise<Completion>;
  /** Ask, and get the chunks by `for await`; say "stream": true in the request. It begins at once; leaving the loop cancels. */
  stream(request: Json, options?: RequestOptions): Stream;
  /** Use another key for requests that start later; none: no key. */
  setApiKey(key?: string): void;
  /** Open a connection ahead of the first request. */
  prewarm(): void;
  /** Figures: requests, connections, threads. */
  stats(): any;
  /** End all requests with HELIO_ERR_SHUT_DOWN, and wait for the client's threads. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

export class Stream implements AsyncIterableIterator<Chunk> {
  private constructor();
  /** The whole completion, once the stream has ended; null before. On an error what had come. */
  readonly completion: Completion | null;
  /** End the request at once: reading throws HELIO_ERR_CANCELLED. */
  cancel(): void;
  next(): Promise<IteratorResult<Chunk>>;
  return(): Promise<IteratorResult<Chunk>>;
  [Symbol.asyncIterator](): this;
}

/** The messages of a conversation. */
export class Chat {
  /** Add a text of "system", "developer", "user" or "assistant". */
  add(role: string, text: string): void;
  /** Add a message of any kind, or a list of them, all or none. */
  addJson(message: Json): void;
  /** Add the assistant's message of an answer as servers want it back: tool calls, reasoning and signatures included. */
  addReply(completion: Completion | Json): void;
  addToolResult(toolCallId: string, text: string): void;
  readonly length: number;
  remove(first: number, count: number): void;
  /** The body of a request: these parameters, and the messages behind them. */
  request(parameters?: Json): string;
}

/** One value by its JSON Pointer (RFC 6901): a string comes out unescaped, anything else as it is written. undefined: nothing is there. */
export function jsonGet(document: string, pointer: string): string | undefined;

/** The version of the library that is loaded. */
export function version(): string;
