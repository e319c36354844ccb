/* helio: chat completions from large language models, inside any native program.
 *
 * JSON in, JSON out. Create a client, hand it an OpenAI-style request, get one chat.completion back, with each
 * streamed chunk shown on the way. Threads, sockets, TLS, retries and time-outs are the library's affair.
 *
 * Ownership: what the host passes in is copied, or used only until the call returns. What an out-parameter gives
 * (helio_buffer, helio_error) is the caller's until it frees it, and outlives the client. What an event holds is
 * borrowed until the callback returns. All text is UTF-8 and ends in a NUL that its length does not count.
 * Structs begin with their size: make them with their _init function. Out-parameters come last, are set to NULL on
 * entry, and may be NULL. Functions are thread-safe unless they say otherwise.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0 */

#ifndef HELIO_H
#define HELIO_H

/* Generated from src/abi. Edit there, then run `make header`. */

#include <stddef.h>
#include <stdint.h>
#if defined(_WIN32) && !defined(HELIO_STATIC)
#  define HELIO_API __declspec(dllimport)
#elif defined(__GNUC__)
#  define HELIO_API __attribute__((visibility("default")))
#else
#  define HELIO_API
#endif

/** As a length: the string ends in NUL. */
#define HELIO_STRLEN ((size_t)-1)
/** As a timeout: wait as long as it takes. */
#define HELIO_WAIT_FOREVER UINT32_MAX

/**
 * The version of this header: major.
 */
#define HELIO_VERSION_MAJOR 0

/**
 * The version of this header: minor.
 */
#define HELIO_VERSION_MINOR 1

/**
 * The version of this header: patch.
 */
#define HELIO_VERSION_PATCH 0

/**
 * The binary interface this header describes; also the number in the shared object's name.
 */
#define HELIO_ABI_VERSION 1

/**
 * Log level: something failed that should not.
 */
#define HELIO_LOG_ERROR 1

/**
 * Log level: something to look at, like a key that goes over plain http.
 */
#define HELIO_LOG_WARN 2

/**
 * Log level: a retry.
 */
#define HELIO_LOG_INFO 3

/**
 * Log level: each request and its end.
 */
#define HELIO_LOG_DEBUG 4

/**
 * Log level: everything.
 */
#define HELIO_LOG_TRACE 5

/**
 * Bytes that belong to the caller once handed out. They outlive the client.
 */
typedef struct helio_buffer helio_buffer;

/**
 * Long-lived; every function is thread-safe.
 */
typedef struct helio_client helio_client;

/**
 * What went wrong, in full.
 */
typedef struct helio_error helio_error;

/**
 * Takes a log line. May be called on any thread and inside any call, concurrently; returns soon and calls nothing
 * of helio. `target` ends in NUL; `message` has `message_len` bytes and a NUL behind them.
 */
typedef void (*helio_log_fn)(int32_t level,
                             const char *target,
                             const char *message,
                             size_t message_len,
                             void *user_data);

/**
 * Something is pending. Takes effect with deliveries that this version does not have; it is not called.
 */
typedef void (*helio_notify_fn)(void *user_data);

/**
 * How a client is made. Zero it and set its size with helio_client_options_init.
 */
typedef struct helio_client_options {
  /**
   * sizeof(helio_client_options) of the caller.
   */
  uint32_t struct_size;
  /**
   * 0.
   */
  uint32_t flags;
  /**
   * JSON, see docs/configuration.md; NULL: defaults and environment.
   */
  const char *config;
  /**
   * Bytes of `config`, or HELIO_STRLEN.
   */
  size_t config_len;
  /**
   * NULL: no log.
   */
  helio_log_fn log_fn;
  /**
   * Given to log_fn.
   */
  void *log_user_data;
  /**
   * HELIO_LOG_ERROR to HELIO_LOG_TRACE; 0: HELIO_LOG_WARN.
   */
  int32_t log_level;
  /**
   * 0.
   */
  uint32_t reserved0;
  /**
   * NULL: none.
   */
  helio_notify_fn notify_fn;
  /**
   * Given to notify_fn.
   */
  void *notify_user_data;
} helio_client_options;

/**
 * The outcome of a call: HELIO_OK or one of HELIO_ERR_…; the set is open, numbers are never reused.
 */
typedef int32_t helio_status;

/**
 * How events come: one of HELIO_DELIVERY_…. helio_complete ignores it.
 */
typedef uint32_t helio_delivery;

/**
 * A request's number: issued by the library, never 0, never used twice.
 */
typedef uint64_t helio_request_id;

/**
 * What an event is: HELIO_EVENT_RESPONSE, _CHUNK or _DONE.
 */
typedef uint32_t helio_event_kind;

/**
 * Written by the library, borrowed by the host until the callback returns. All text is UTF-8 and ends in a NUL that
 * its length does not count; it is NULL with 0 where absent.
 */
typedef struct helio_event {
  /**
   * Bytes of this struct that are filled.
   */
  uint32_t struct_size;
  /**
   * HELIO_EVENT_RESPONSE, _CHUNK or _DONE.
   */
  helio_event_kind kind;
  /**
   * Whose event it is.
   */
  helio_request_id request;
  /**
   * As given in the request's options.
   */
  void *user_data;
  /**
   * JSON; see the kinds.
   */
  const char *data;
  /**
   * Bytes of `data`.
   */
  size_t len;
  /**
   * CHUNK: the content delta of choice 0; DONE: all of it.
   */
  const char *text;
  /**
   * Bytes of `text`.
   */
  size_t text_len;
  /**
   * Likewise the reasoning, whichever of its names the server uses.
   */
  const char *reasoning;
  /**
   * Bytes of `reasoning`.
   */
  size_t reasoning_len;
  /**
   * DONE: the outcome; otherwise HELIO_OK.
   */
  helio_status status;
  /**
   * 0 before a response.
   */
  int32_t http_status;
  /**
   * DONE with a status other than HELIO_OK; never freed by the host.
   */
  const struct helio_error *error;
  /**
   * DONE: the evidence as JSON.
   */
  const char *report;
  /**
   * Bytes of `report`.
   */
  size_t report_len;
} helio_event;

/**
 * Sees an event. Returns 0 to go on; anything else cancels the request (a DONE still follows). At DONE the return
 * value means nothing. It returns normally: no exception, no longjmp. Any function may be called from it but
 * helio_complete and helio_client_destroy of the same client (HELIO_ERR_REENTRANT).
 */
typedef int32_t (*helio_event_fn)(const struct helio_event *event, void *user_data);

/**
 * How a request is made. Zero it and set its size with helio_request_options_init.
 */
typedef struct helio_request_options {
  /**
   * sizeof(helio_request_options) of the caller.
   */
  uint32_t struct_size;
  /**
   * helio_complete ignores it.
   */
  helio_delivery delivery;
  /**
   * 0, or an id from helio_reserve, used once.
   */
  helio_request_id id;
  /**
   * Sees each event; NULL: nobody does.
   */
  helio_event_fn on_event;
  /**
   * Given to on_event.
   */
  void *user_data;
  /**
   * JSON: the per-request part of the config, a merge patch (RFC 7396) on the client's; NULL: none.
   */
  const char *overrides;
  /**
   * Bytes of `overrides`, or HELIO_STRLEN.
   */
  size_t overrides_len;
} helio_request_options;

/**
 * The server has begun to answer. `data`: {"status":200,"headers":{"lower-case name":"value"}}.
 */
#define HELIO_EVENT_RESPONSE 1

/**
 * One event of a stream. `data`: its JSON as the server sent it.
 */
#define HELIO_EVENT_CHUNK 2

/**
 * The end, once and last. `data`: one whole chat.completion, or what had come of it.
 */
#define HELIO_EVENT_DONE 3

/**
 * Only inside a poll of the host. For a delivery that this version does not have.
 */
#define HELIO_DELIVERY_POLL 0

/**
 * Taken by the host, one by one. For a delivery that this version does not have.
 */
#define HELIO_DELIVERY_PULL 1

/**
 * On a thread of the library. For a delivery that this version does not have.
 */
#define HELIO_DELIVERY_THREAD 2

/**
 * Done.
 */
#define HELIO_OK 0

/**
 * The host's mistake: NULL, a wrong size, an unknown config key, a wrong type, a bad URL, header or PEM, an unknown id.
 */
#define HELIO_ERR_INVALID_ARGUMENT -1

/**
 * A body or config is not UTF-8.
 */
#define HELIO_ERR_INVALID_UTF8 -2

/**
 * A body or config is not one JSON object.
 */
#define HELIO_ERR_INVALID_JSON -3

/**
 * A flag, struct field, URL scheme or setting that this version does not have.
 */
#define HELIO_ERR_UNSUPPORTED -4

/**
 * Called from a callback of the same client, where it would wait for itself.
 */
#define HELIO_ERR_REENTRANT -5

/**
 * The client is shut down.
 */
#define HELIO_ERR_SHUT_DOWN -6

/**
 * Called in a forked child with the parent's client.
 */
#define HELIO_ERR_FORKED -7

/**
 * limits.max_in_flight and limits.max_queued are reached.
 */
#define HELIO_ERR_BUSY -8

/**
 * A deadline passed: helio_error_code says which: "connect", "first_event", "idle" or "total".
 */
#define HELIO_ERR_TIMEOUT -9

/**
 * Cancelled by helio_cancel, helio_cancel_all or a callback's return value.
 */
#define HELIO_ERR_CANCELLED -10

/**
 * The server's name has no address.
 */
#define HELIO_ERR_DNS -20

/**
 * No TCP connection.
 */
#define HELIO_ERR_CONNECT -21

/**
 * No TLS: certificate, version, alert, or no TLS at all.
 */
#define HELIO_ERR_TLS -22

/**
 * The proxy refused or failed.
 */
#define HELIO_ERR_PROXY -23

/**
 * The connection broke before the server began to answer.
 */
#define HELIO_ERR_NETWORK -24

/**
 * The answer is not what the protocol says.
 */
#define HELIO_ERR_PROTOCOL -30

/**
 * The answer broke off: what had come is kept, and is not complete.
 */
#define HELIO_ERR_TRUNCATED -31

/**
 * A limit of the config was passed.
 */
#define HELIO_ERR_TOO_LARGE -32

/**
 * The server calls the request wrong (4xx).
 */
#define HELIO_ERR_BAD_REQUEST -40

/**
 * No key or a wrong one (401).
 */
#define HELIO_ERR_AUTHENTICATION -41

/**
 * The key may not do this (403).
 */
#define HELIO_ERR_PERMISSION -42

/**
 * No such endpoint or model (404, 410).
 */
#define HELIO_ERR_NOT_FOUND -43

/**
 * Too many requests (429).
 */
#define HELIO_ERR_RATE_LIMITED -44

/**
 * Credits or quota are used up (402, or the server's code).
 */
#define HELIO_ERR_QUOTA_EXCEEDED -45

/**
 * The request is longer than the model's context.
 */
#define HELIO_ERR_CONTEXT_LENGTH -46

/**
 * A content filter refused the request.
 */
#define HELIO_ERR_CONTENT_FILTERED -47

/**
 * The server has too much to do (503, 529).
 */
#define HELIO_ERR_OVERLOADED -48

/**
 * The server failed (other 5xx, 408, 409).
 */
#define HELIO_ERR_SERVER -49

/**
 * A fault inside the library, or the system refused a thread or descriptor.
 */
#define HELIO_ERR_INTERNAL -99

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * Zero the options, set their size, and every length to HELIO_STRLEN.
 *
 * @param opts NULL does nothing.
 * @param struct_size sizeof(helio_client_options) of the caller. Any thread.
 */
HELIO_API void helio_client_options_init(struct helio_client_options *opts, uint32_t struct_size);

/**
 * Make a client. Starts no thread and opens no connection; reads the environment (HELIO_BASE_URL, HELIO_API_KEY,
 * HELICONE_API_KEY, proxy variables if the config asks for them) and certificate files once.
 *
 * @param opts NULL: defaults and environment. Copied before the call returns.
 * @param out_client gets the client, to be destroyed with helio_client_destroy; NULL on failure.
 * @param out_error gets the error of a failure, to be freed with helio_error_free; may be NULL.
 * @return HELIO_OK; HELIO_ERR_INVALID_ARGUMENT, _INVALID_UTF8, _INVALID_JSON or _UNSUPPORTED, and the error names
 * the key to change. Any thread.
 */
HELIO_API
helio_status helio_client_create(const struct helio_client_options *opts,
                                 struct helio_client **out_client,
                                 struct helio_error **out_error);

/**
 * Use another API key for attempts that start later.
 *
 * @param key NULL: none from now on. Copied before the call returns.
 * @param len bytes of `key`, or HELIO_STRLEN.
 * @return HELIO_OK; HELIO_ERR_INVALID_ARGUMENT, _INVALID_UTF8, _FORKED. Any thread, also callbacks.
 */
HELIO_API helio_status helio_client_set_api_key(struct helio_client *client, const char *key, size_t len);

/**
 * Shut a client down: new requests are HELIO_ERR_SHUT_DOWN, those that live end with it. Never blocks.
 *
 * @return HELIO_OK; HELIO_ERR_INVALID_ARGUMENT, _FORKED. Any thread, also callbacks.
 */
HELIO_API helio_status helio_client_shutdown(struct helio_client *client);

/**
 * Shut a client down, wait for its calls on other threads to return (they give HELIO_ERR_SHUT_DOWN), and free it.
 *
 * @param client NULL is HELIO_OK. No call may start on it once this returned HELIO_OK.
 * @param timeout_ms how long to wait; HELIO_WAIT_FOREVER.
 * @return HELIO_OK: no callback runs or will run, no thread of this client is left (a name look-up that the system
 * does not end belongs to the process and holds nothing of the client). HELIO_ERR_TIMEOUT: nothing was freed, call
 * again. HELIO_ERR_REENTRANT: called from a callback of this client. HELIO_ERR_FORKED: the client is forgotten, the
 * parent's connections are left alone. Any thread.
 */
HELIO_API
helio_status helio_client_destroy(struct helio_client *client,
                                  uint32_t timeout_ms);

/**
 * The version of the library that is loaded.
 *
 * @return major << 16 | minor << 8 | patch. Any thread.
 */
HELIO_API uint32_t helio_version_number(void);

/**
 * The version of the library that is loaded, as text.
 *
 * @return "major.minor.patch", static: never freed. Any thread.
 */
HELIO_API const char *helio_version_string(void);

/**
 * The binary interface of the library that is loaded. A binding compares it with HELIO_ABI_VERSION once.
 *
 * @return HELIO_ABI_VERSION of the library. Any thread.
 */
HELIO_API uint32_t helio_abi_version(void);

/**
 * Whether the library that is loaded can do something. The names: "complete" (blocking requests), "stream" (events
 * of a blocking request), "cancel", "retry", "tls", "proxy" (HTTP CONNECT), "socks5", "gzip", "helicone" (the typed
 * `helicone` section of the config).
 *
 * @param name ends in NUL; NULL is no feature.
 * @return 1 or 0. Any thread.
 */
HELIO_API
int32_t helio_has_feature(const char *name);

/**
 * The name of a status.
 *
 * @return like "HELIO_ERR_TIMEOUT", for an unknown one "HELIO_ERR_UNKNOWN"; static: never freed. Any thread.
 */
HELIO_API const char *helio_status_name(helio_status status);

/**
 * Zero the options, set their size, and every length to HELIO_STRLEN.
 *
 * @param opts NULL does nothing.
 * @param struct_size sizeof(helio_request_options) of the caller. Any thread.
 */
HELIO_API void helio_request_options_init(struct helio_request_options *opts, uint32_t struct_size);

/**
 * An id for a request that is still to come, so that it can be cancelled before and while it runs.
 *
 * @return never 0, never used twice; 0 for NULL, after shut down, in a forked child. Any thread, also callbacks.
 */
HELIO_API
helio_request_id helio_reserve(struct helio_client *client);

/**
 * Send a request and wait for the whole answer, on the calling thread.
 *
 * `"stream": true` or not, the result is one chat.completion: as the server sent it, or assembled from the chunks.
 * With `on_event` set it sees RESPONSE, each CHUNK, and DONE, on the calling thread; a non-zero return, or
 * helio_cancel from another thread, ends the call at once.
 *
 * @param json an OpenAI chat-completions body: one JSON object in UTF-8, sent byte for byte. Used until the call returns.
 * @param len bytes of `json`, or HELIO_STRLEN.
 * @param opts NULL: no events, no overrides. `delivery` is ignored.
 * @param out_json gets the completion, to be freed with helio_buffer_free; may be NULL. On failure what had come, if
 * a choice had begun: an unfinished choice has "finish_reason": null.
 * @param out_error gets the error of a failure, to be freed with helio_error_free; may be NULL. Both may be set: free both.
 * @return HELIO_OK: the answer is complete. HELIO_ERR_INVALID_…, _UNSUPPORTED, _REENTRANT, _SHUT_DOWN, _FORKED, _BUSY,
 * _AUTHENTICATION without a key, _CANCELLED for an id cancelled before: nothing was sent and no event came. Anything
 * else: DONE came with the same status. Any thread, but not from a callback of the same client.
 */
HELIO_API
helio_status helio_complete(struct helio_client *client,
                            const char *json,
                            size_t len,
                            const struct helio_request_options *opts,
                            struct helio_buffer **out_json,
                            struct helio_error **out_error);

/**
 * Cancel a request: reserved, queued, connecting, sending, waiting, streaming, backing off. Its connection is
 * dropped at once. The first cause wins: an end that is decided stays. Idempotent, never blocks.
 *
 * @param id any number: one that has ended, was never issued, or 0 is fine.
 * @return HELIO_OK; HELIO_ERR_INVALID_ARGUMENT for NULL, HELIO_ERR_FORKED. Any thread, also callbacks; not
 * async-signal-safe: catch Ctrl-C with a thread in sigwait, or a flag.
 */
HELIO_API helio_status helio_cancel(struct helio_client *client, helio_request_id id);

/**
 * Cancel all requests of a client that have begun. Idempotent, never blocks.
 *
 * @return HELIO_OK; HELIO_ERR_INVALID_ARGUMENT for NULL, HELIO_ERR_FORKED. Any thread, also callbacks.
 */
HELIO_API helio_status helio_cancel_all(struct helio_client *client);

/**
 * The bytes of a buffer.
 *
 * @return helio_buffer_size bytes of UTF-8 and a NUL behind them; belongs to the buffer. NULL for NULL. Any thread.
 */
HELIO_API
const char *helio_buffer_data(const struct helio_buffer *buffer);

/**
 * The size of a buffer in bytes, its NUL not counted.
 *
 * @return 0 for NULL. Any thread.
 */
HELIO_API size_t helio_buffer_size(const struct helio_buffer *buffer);

/**
 * Free a buffer. NULL is fine. Any thread; the client may be gone.
 */
HELIO_API void helio_buffer_free(struct helio_buffer *buffer);

/**
 * Which outcome an error is.
 *
 * @return HELIO_ERR_…; HELIO_OK for NULL. Any thread.
 */
HELIO_API helio_status helio_error_status(const struct helio_error *error);

/**
 * The HTTP status that the server sent.
 *
 * @return 0 before a response, and for NULL. Any thread.
 */
HELIO_API int32_t helio_error_http_status(const struct helio_error *error);

/**
 * How long to wait before another try: what the server wishes, else what the library would have waited.
 *
 * @return milliseconds; -1: another try makes no sense, and for NULL. Any thread.
 */
HELIO_API int64_t helio_error_retry_after_ms(const struct helio_error *error);

/**
 * A sentence: what happened, where, and what to do about it. Never holds a key or password.
 *
 * @param out_len gets the length in bytes, NUL not counted; may be NULL.
 * @return belongs to the error, ends in NUL; NULL with 0 for NULL. Any thread.
 */
HELIO_API const char *helio_error_message(const struct helio_error *error, size_t *out_len);

/**
 * The server's error code as text (a number as its digits); for HELIO_ERR_TIMEOUT which deadline it was:
 * "connect", "first_event", "idle" or "total".
 *
 * @param out_len gets the length in bytes, NUL not counted; may be NULL.
 * @return belongs to the error, ends in NUL; NULL with 0 if there is none. Any thread.
 */
HELIO_API const char *helio_error_code(const struct helio_error *error, size_t *out_len);

/**
 * The server's error type.
 *
 * @param out_len gets the length in bytes, NUL not counted; may be NULL.
 * @return belongs to the error, ends in NUL; NULL with 0 if there is none. Any thread.
 */
HELIO_API const char *helio_error_type(const struct helio_error *error, size_t *out_len);

/**
 * The body of the server's refusal, its first MiB, or the bytes that could not be understood; secrets masked.
 *
 * @param out_len gets the length in bytes, NUL not counted; may be NULL.
 * @return belongs to the error, ends in NUL; NULL with 0 if there is none. Any thread.
 */
HELIO_API const char *helio_error_body(const struct helio_error *error, size_t *out_len);

/**
 * The evidence of the request as one JSON object: attempts, times, bytes, what the server said of itself.
 *
 * @param out_len gets the length in bytes, NUL not counted; may be NULL.
 * @return belongs to the error, ends in NUL; NULL with 0 if no request was made. Any thread.
 */
HELIO_API const char *helio_error_report(const struct helio_error *error, size_t *out_len);

/**
 * Free an error that an out-parameter gave. NULL is fine. Any thread; the client may be gone. Never for the error
 * inside an event.
 */
HELIO_API
void helio_error_free(struct helio_error *error);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* HELIO_H */
