// The C functions, for the program's thread and for the receiver's. A pointer is a BigInt.

import koffi from "koffi";

const ABI_VERSION = 1;
export const FOREVER = 0xffffffff;
export const DELIVERY_PULL = 1;
export const CHUNK = 2;
export const DONE = 3;
export const NOT_FOUND = -43;
export const SHUT_DOWN = -6;
export const INTERNAL = -99;

const NAMES = { darwin: "libhelio.dylib", win32: "helio.dll" };
const name = process.env.HELIO_LIBRARY || NAMES[process.platform] || "libhelio.so.1";
const library = load(name);

function load(name) {
  try {
    return koffi.load(name);
  } catch (error) {
    throw new Error(`${name} was not found: install helio, or say in HELIO_LIBRARY where it is`, { cause: error });
  }
}

export const ClientOptions = koffi.struct("helio_client_options", {
  struct_size: "uint32_t",
  flags: "uint32_t",
  config: "const char *",
  config_len: "size_t",
  log_fn: "void *",
  log_user_data: "void *",
  log_level: "int32_t",
  reserved0: "uint32_t",
  notify_fn: "void *",
  notify_user_data: "void *",
});

export const RequestOptions = koffi.struct("helio_request_options", {
  struct_size: "uint32_t",
  delivery: "uint32_t",
  id: "uint64_t",
  on_event: "void *",
  user_data: "void *",
  overrides: "const char *",
  overrides_len: "size_t",
});

const Event = koffi.struct("helio_event", {
  struct_size: "uint32_t",
  kind: "uint32_t",
  request: "uint64_t",
  user_data: "void *",
  data: "void *",
  len: "size_t",
  text: "void *",
  text_len: "size_t",
  reasoning: "void *",
  reasoning_len: "size_t",
  status: "int32_t",
  http_status: "int32_t",
  error: "void *",
  report: "void *",
  report_len: "size_t",
});

export const c = {};
for (const declaration of [
  "void helio_client_options_init(_Out_ helio_client_options *opts, uint32_t size)",
  "int32_t helio_client_create(helio_client_options *opts, _Out_ void **client, _Out_ void **error)",
  "int32_t helio_client_set_api_key(void *client, const uint8_t *key, size_t len)",
  "int32_t helio_client_prewarm(void *client)",
  "int32_t helio_client_stats(void *client, _Out_ void **json)",
  "int32_t helio_client_shutdown(void *client)",
  "int32_t helio_client_destroy(void *client, uint32_t timeout_ms)",
  "int32_t helio_next_event(void *client, uint32_t timeout_ms, _Out_ void **event)",
  "void helio_event_release(void *event)",
  "const char *helio_version_string()",
  "uint32_t helio_abi_version()",
  "const char *helio_status_name(int32_t status)",
  "void helio_request_options_init(_Out_ helio_request_options *opts, uint32_t size)",
  "uint64_t helio_reserve(void *client)",
  "int32_t helio_submit(void *client, const uint8_t *json, size_t len, helio_request_options *opts, void *id, _Out_ void **error)",
  "int32_t helio_cancel(void *client, uint64_t id)",
  "void *helio_buffer_data(void *buffer)",
  "size_t helio_buffer_size(void *buffer)",
  "void helio_buffer_free(void *buffer)",
  "int32_t helio_error_http_status(void *error)",
  "int64_t helio_error_retry_after_ms(void *error)",
  "void *helio_error_message(void *error, _Out_ size_t *len)",
  "void *helio_error_code(void *error, _Out_ size_t *len)",
  "void *helio_error_type(void *error, _Out_ size_t *len)",
  "void *helio_error_body(void *error, _Out_ size_t *len)",
  "void *helio_error_report(void *error, _Out_ size_t *len)",
  "void helio_error_free(void *error)",
  "int32_t helio_chat_create(_Out_ void **chat)",
  "void helio_chat_free(void *chat)",
  "int32_t helio_chat_add(void *chat, const char *role, const uint8_t *text, size_t len)",
  "int32_t helio_chat_add_json(void *chat, const char *message)",
  "int32_t helio_chat_add_reply(void *chat, const char *completion)",
  "int32_t helio_chat_add_tool_result(void *chat, const char *id, const uint8_t *text, size_t len)",
  "size_t helio_chat_count(void *chat)",
  "int32_t helio_chat_remove(void *chat, size_t first, size_t count)",
  "int32_t helio_chat_request(void *chat, const char *parameters, _Out_ void **body)",
  "void *helio_chat_error(void *chat)",
  "int32_t helio_json_get(const uint8_t *json, size_t len, const char *pointer, _Out_ void **value)",
]) {
  const named = /(helio_\w+)\(/.exec(declaration)[1];
  c[named.replace("helio_", "")] = library.func(declaration);
}

if (c.abi_version() !== ABI_VERSION) {
  throw new Error(`${name} has interface ${c.abi_version()}; this package is for ${ABI_VERSION}`);
}

/** A copy of the library's text; null: it is absent. */
function text(start, length) {
  return start ? koffi.decode.string(start, Number(length)) : null;
}

/** The text of a buffer, which is freed. */
export function taken(buffer) {
  const told = text(c.buffer_data(buffer), c.buffer_size(buffer));
  c.buffer_free(buffer);
  return told;
}

/** Bytes and their length, as the library takes a text. */
export function bytes(text) {
  const all = Buffer.from(text);
  return [all.length ? all : Buffer.alloc(1), all.length];
}

/** What an error of the library's says: plain data, which can go to another thread. */
export function readError(status, error) {
  const told = (get) => {
    const length = [0];
    return text(get(error, length), length[0]);
  };
  const statusName = c.status_name(status);
  return {
    status: statusName,
    statusNumber: status,
    reason: told(c.error_message) ?? "the call failed",
    code: told(c.error_code),
    type: told(c.error_type),
    body: told(c.error_body),
    report: told(c.error_report),
    httpStatus: c.error_http_status(error),
    retryAfterMs: Number(c.error_retry_after_ms(error)),
  };
}

/** What an event says, as plain data. */
export function readEvent(pointer) {
  const event = koffi.decode(pointer, Event);
  const told = {
    kind: event.kind,
    request: Number(event.request),
    data: text(event.data, event.len),
    text: text(event.text, event.text_len) ?? "",
    reasoning: text(event.reasoning, event.reasoning_len) ?? "",
  };
  if (event.kind === DONE) {
    told.report = text(event.report, event.report_len);
    told.error = event.status === 0 ? null : readError(event.status, event.error);
  }
  return told;
}
