/* helio: chat completions from large language models, inside any native program.
 *
 * JSON in, JSON out. Create a client, hand it an OpenAI-style request, get one chat.completion back, with each
 * streamed chunk shown on the way: on the calling thread (helio_complete), inside your own loop, as events to take, or
 * on a thread of the library (helio_submit). Threads, sockets, TLS, retries and time-outs are the library's affair.
 *
 * Ownership: what the host passes in is copied, or used only until the call returns. What an out-parameter gives
 * (helio_buffer, helio_error) is the caller's until it frees it, and outlives the client. What an event holds is
 * borrowed until the callback returns, or until helio_event_release. A client is the caller's until
 * helio_client_destroy or helio_client_release (docs/ownership.md). All text is UTF-8 and ends in a NUL that its length
 * does not count.
 * Structs begin with their size: make them with their _init function. Out-parameters come last, are set to NULL on
 * entry, and may be NULL unless they say otherwise. Functions are thread-safe; an object is freed when no other thread
 * looks at it any more. Answers are handed out as the server sent them; secrets are masked in errors, reports and logs.
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
 * Log level: something failed that should not. No line of this version has it.
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
 * Log level: everything. No line of this version has it.
 */
#define HELIO_LOG_TRACE 5



/**
 * Bytes that belong to the caller once handed out. They outlive the client. docs/ownership.md.
 */
typedef struct helio_buffer helio_buffer;

/**
 * The messages of a conversation. The server remembers nothing: each request sends all of them. Belongs to no client.
 * docs/conversation.md.
 */
typedef struct helio_chat helio_chat;

/**
 * Long-lived; every function is thread-safe.
 */
typedef struct helio_client helio_client;

/**
 * What went wrong, in full. docs/errors.md, docs/ownership.md.
 */
typedef struct helio_error helio_error;

/**
 * Takes a log line. May be called on any thread and inside any call, concurrently; returns soon and calls nothing
 * of helio but helio_wakeup. docs/logging.md, docs/threads.md. `target` ends in NUL; `message` has `message_len` bytes
 * and a NUL behind them.
 */
typedef void (*helio_log_fn)(int32_t level,
                             const char *target,
                             const char *message,
                             size_t message_len,
                             void *user_data);

/**
 * Something is pending: called when an event of a POLL or PULL request becomes pending and no notification of its
 * delivery is outstanding. A helio_poll that returns, or a helio_next_event that finds nothing, ends it; if such events
 * are pending then, it is called again at once, on that thread. May be called on any library thread and inside any call,
 * concurrently: hold no lock over a call that it takes, too. It signals and returns, calls nothing of helio but
 * helio_wakeup, and has nothing run in place that does. docs/delivery.md, docs/threads.md.
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
   * NULL: no log. It and its data must live until destroy returned HELIO_OK.
   */
  helio_log_fn log_fn;
  /**
   * Given to log_fn.
   */
  void *log_user_data;
  /**
   * HELIO_LOG_ERROR to HELIO_LOG_TRACE; 0: HELIO_LOG_WARN. What each level holds: docs/logging.md.
   */
  int32_t log_level;
  /**
   * 0.
   */
  uint32_t reserved0;
  /**
   * NULL: none. It and its data must live until destroy returned HELIO_OK.
   */
  helio_notify_fn notify_fn;
  /**
   * Given to notify_fn.
   */
  void *notify_user_data;
} helio_client_options;

/**
 * The outcome of a call: HELIO_OK or one of HELIO_ERR_…; the set is open, numbers are never reused. docs/errors.md.
 */
typedef int32_t helio_status;

/**
 * What an event is: HELIO_EVENT_RESPONSE, _CHUNK or _DONE.
 */
typedef uint32_t helio_event_kind;

/**
 * A request's number: issued by the library, never 0, never used twice.
 */
typedef uint64_t helio_request_id;

/**
 * Written by the library, borrowed by the host until the callback returns, or until helio_event_release. All text is
 * UTF-8 and ends in a NUL that its length does not count; it is NULL with 0 where absent. docs/events.md.
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
   * CHUNK: the content delta of choice 0; DONE: all of it that came. NULL if that is nothing, also with HELIO_OK
   * (tool calls).
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
 * How the events of helio_submit come: one of HELIO_DELIVERY_…. docs/delivery.md says which for whom.
 */
typedef uint32_t helio_delivery;

/**
 * Sees an event; no lock is held meanwhile. Where it runs is what the delivery says: on the thread that called
 * helio_complete, inside helio_poll (and the last drain of helio_client_destroy), or on a thread of the library.
 * Returns 0 to go on; anything else cancels the request (a DONE still follows). At DONE the return value means
 * nothing. It returns normally: no exception, no longjmp. Any function may be called from it but helio_poll,
 * helio_next_event, helio_complete and helio_client_destroy of the same client (HELIO_ERR_REENTRANT).
 * docs/threads.md.
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
   * Sees each event. helio_complete: NULL: nobody does. helio_submit: required, but for PULL, which refuses one. It
   * and its data must live until its DONE has returned.
   */
  helio_event_fn on_event;
  /**
   * Given to on_event, and with each event; never looked at.
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
 * The default: callbacks run inside helio_poll only (and in the last drain of helio_client_destroy).
 */
#define HELIO_DELIVERY_POLL 0

/**
 * No callback: the host takes events with helio_next_event.
 */
#define HELIO_DELIVERY_PULL 1

/**
 * Callbacks run on a thread of the library that serves this one request. It counts against limits.max_threads until
 * DONE; who finds all of them taken waits in order.
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
 * Called in a forked child with the parent's client. docs/forking.md.
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
 * No such endpoint or model (404, 410). helio_json_get: nothing is at that place.
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
 * Make a client. Starts no thread and opens no connection (docs/threads.md); reads the environment (HELIO_BASE_URL, HELIO_API_KEY,
 * HELICONE_API_KEY, proxy variables if the config asks for them) and certificate files once.
 *
 * @param opts NULL: defaults and environment. Copied before the call returns.
 * @param out_client gets the client, to be destroyed with helio_client_destroy; NULL on failure.
 * @param out_error gets the error of a failure, to be freed with helio_error_free; may be NULL.
 * @return HELIO_OK; HELIO_ERR_INVALID_ARGUMENT, _INVALID_UTF8, _INVALID_JSON or _UNSUPPORTED, and the error names
 * the key to change; HELIO_ERR_INTERNAL for a fault of ours. Any thread.
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
 * @return HELIO_OK; HELIO_ERR_INVALID_ARGUMENT (also for a NULL client), _INVALID_UTF8, _FORKED. Any thread, also callbacks.
 */
HELIO_API
helio_status helio_client_set_api_key(struct helio_client *client,
                                      const char *key,
                                      size_t len);

/**
 * Open a connection ahead of the first request, so that it need not wait for name, TCP, proxy and TLS. Nothing is sent
 * on it. That it fails is logged, and the next request says why.
 *
 * @return HELIO_OK: it has begun. HELIO_ERR_INVALID_ARGUMENT for NULL, _SHUT_DOWN, _FORKED, _INTERNAL (the system refused
 * a thread). Never blocks. Any thread, also callbacks.
 */
HELIO_API
helio_status helio_client_prewarm(struct helio_client *client);

/**
 * Figures of a client as one JSON object: `in_flight`, `queued`, `pending_events`, `connections` {`open`, `idle`},
 * `threads`, `stuck_lookups`, and since it was made `started`, `succeeded`, `failed`, `cancelled` (shut down, too), `retries`. docs/report.md.
 *
 * @param out_json gets the object, to be freed with helio_buffer_free; may be NULL.
 * @return HELIO_OK; HELIO_ERR_INVALID_ARGUMENT for NULL, _FORKED. Any thread, also callbacks.
 */
HELIO_API
helio_status helio_client_stats(struct helio_client *client,
                                struct helio_buffer **out_json);

/**
 * Shut a client down: new requests are HELIO_ERR_SHUT_DOWN, those that live end with it. Never blocks. A loop that
 * receives ends on HELIO_ERR_SHUT_DOWN when it has seen each DONE. docs/shutdown.md.
 *
 * @return HELIO_OK; HELIO_ERR_INVALID_ARGUMENT for NULL, _FORKED. Any thread, also callbacks.
 */
HELIO_API
helio_status helio_client_shutdown(struct helio_client *client);

/**
 * Shut a client down, wait for its calls on other threads to return (they give HELIO_ERR_SHUT_DOWN), show each POLL DONE
 * on this thread, and free it. PULL events that nobody took go unseen. docs/shutdown.md.
 *
 * @param client NULL is HELIO_OK. No call may start on it once this returned HELIO_OK: one thread destroys it, and
 * joins the others first. Not from log_fn, which it would wait for.
 * @param timeout_ms how long to wait; HELIO_WAIT_FOREVER.
 * @return HELIO_OK: no callback runs or will run, no thread of this client is left (a name look-up that the system
 * does not end belongs to the process and holds nothing of the client). HELIO_ERR_TIMEOUT: nothing was freed, call
 * again. HELIO_ERR_REENTRANT: called from a callback of this client. HELIO_ERR_FORKED: the client is forgotten, the
 * parent's connections are left alone (docs/forking.md). Any thread.
 */
HELIO_API
helio_status helio_client_destroy(struct helio_client *client,
                                  uint32_t timeout_ms);

/**
 * Let a client go, for finalizers: it shuts down and returns at once. POLL and PULL events that the host has not seen
 * are dropped, THREAD requests still get their DONE, log_fn and notify_fn are called no more (but for a call in progress);
 * its memory goes when the last thread has left. docs/shutdown.md.
 *
 * @param client NULL does nothing. No call may start on it from now on. Any thread, also callbacks.
 */
HELIO_API
void helio_client_release(struct helio_client *client);

/**
 * Wait until an event of a POLL request is pending, then run the callbacks of what is pending at that moment, on this
 * thread. So it always ends. Nothing in time: HELIO_OK with 0 delivered. A failure has no error object, only its status.
 * docs/delivery.md.
 *
 * @param timeout_ms how long to wait for the first event; 0: not at all; HELIO_WAIT_FOREVER.
 * @param max_events run at most so many callbacks; 0: all that is pending.
 * @param out_delivered gets how many callbacks ran; may be NULL.
 * @return HELIO_OK; HELIO_ERR_SHUT_DOWN: after shutdown, when nothing can come any more, or while another thread
 * destroys the client; HELIO_ERR_REENTRANT from a callback of this client; _INVALID_ARGUMENT for NULL, _FORKED. Any
 * thread, several at a time: the events of one request stay in order and its callbacks never overlap.
 */
HELIO_API
helio_status helio_poll(struct helio_client *client,
                        uint32_t timeout_ms,
                        uint32_t max_events,
                        uint32_t *out_delivered);

/**
 * Take one event of a PULL request, once there is one. Nothing in time: HELIO_OK and NULL. docs/delivery.md.
 *
 * @param timeout_ms how long to wait; 0: not at all; HELIO_WAIT_FOREVER.
 * @param out_event gets the event, to be given back with helio_event_release; required.
 * @return HELIO_OK; HELIO_ERR_SHUT_DOWN: after shutdown, when nothing can come any more, or while another thread
 * destroys the client; HELIO_ERR_REENTRANT from a callback of this client; _INVALID_ARGUMENT for NULL, _FORKED. Any
 * thread, several at a time.
 */
HELIO_API
helio_status helio_next_event(struct helio_client *client,
                              uint32_t timeout_ms,
                              const struct helio_event **out_event);

/**
 * Give an event of helio_next_event back; until then it is the host's. Everything in it goes. NULL is fine. Any thread; the client may be gone.
 * docs/ownership.md.
 */
HELIO_API
void helio_event_release(const struct helio_event *event);

/**
 * How many events of POLL and PULL requests wait for the host.
 *
 * @return 0 for NULL and in a forked child. Any thread, also callbacks.
 */
HELIO_API size_t helio_pending_events(const struct helio_client *client);

/**
 * Make those who wait in helio_poll and helio_next_event return HELIO_OK with nothing; if nobody waits, the next call
 * that would have to. It does not touch the wait handle. Never blocks.
 *
 * @return HELIO_OK; HELIO_ERR_INVALID_ARGUMENT for NULL, _FORKED. Any thread, also callbacks, log_fn and notify_fn.
 */
HELIO_API
helio_status helio_wakeup(struct helio_client *client);

/**
 * A descriptor that is readable while events of POLL or PULL requests are pending (a level, not an edge), for epoll, poll,
 * kqueue and the loops built on them; on Unix it is an int. When it is readable call helio_poll with timeout 0, or take
 * events until there is none. Never read or close it; take it out of your loop before the client is destroyed.
 *
 * @return the same for as long as the client lives; -1 if there is none: NULL, a forked child, no descriptor left. Any
 * thread, also callbacks.
 */
HELIO_API
intptr_t helio_wait_handle(struct helio_client *client);

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
 * Whether the library that is loaded can do something. The names: "complete" (blocking requests), "submit"
 * (requests that do not block, in POLL, PULL and THREAD), "prewarm", "stats", "stream" (events), "cancel", "retry", "tls", "proxy" (HTTP
 * CONNECT), "https_proxy" (the same, the proxy spoken with in TLS), "socks5", "gzip", "helicone" (the typed `helicone`
 * section of the config), "validate" (requests are held against what the endpoint takes), "limiter" (a rate limit of the client's own), "chat"
 * (conversations: helio_chat_…), "json" (helio_json_get).
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
 * An id for a request that is still to come, so that it can be cancelled before and while it runs. It is used up
 * when its request begins, or is refused because it was cancelled; an id that is never used is kept until destroy.
 * docs/cancelling.md.
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
 * @return HELIO_OK: the answer is complete. Otherwise one of HELIO_ERR_…: if it was refused before a request existed
 * (a wrong argument, HELIO_ERR_BUSY, _FORKED, _REENTRANT, no key, an id cancelled before, a client shut down before),
 * nothing was sent, no event came and helio_error_report is NULL; else DONE came with the same status. Any thread, but
 * not from a callback of the same client.
 */
HELIO_API
helio_status helio_complete(struct helio_client *client,
                            const char *json,
                            size_t len,
                            const struct helio_request_options *opts,
                            struct helio_buffer **out_json,
                            struct helio_error **out_error);

/**
 * Begin a request and return at once; its events come as `opts->delivery` says. Never blocks, never calls an event
 * back. HELIO_OK promises RESPONSE, CHUNKs and then exactly one DONE, whatever happens; anything else promises that no
 * event ever comes, and user_data is not touched. It may be called with a lock held that callbacks take. docs/delivery.md.
 *
 * @param json an OpenAI chat-completions body: one JSON object in UTF-8, sent byte for byte. Copied before the call returns.
 * @param len bytes of `json`, or HELIO_STRLEN.
 * @param opts required. POLL and THREAD need `on_event`, PULL refuses one.
 * @param out_id gets the request's id, before any of its events can be seen; 0 on failure; may be NULL.
 * @param out_error gets the error of a failure, to be freed with helio_error_free; may be NULL.
 * @return HELIO_OK; HELIO_ERR_INVALID_ARGUMENT, _INVALID_UTF8, _INVALID_JSON, _UNSUPPORTED (an unknown delivery), _BUSY
 * (limits.max_in_flight and limits.max_queued are reached), _CANCELLED (the reserved id was), _AUTHENTICATION (no key
 * for the gateway), _SHUT_DOWN, _FORKED, _INTERNAL. Any thread, also callbacks.
 */
HELIO_API
helio_status helio_submit(struct helio_client *client,
                          const char *json,
                          size_t len,
                          const struct helio_request_options *opts,
                          helio_request_id *out_id,
                          struct helio_error **out_error);

/**
 * Cancel a request: reserved, queued, connecting, sending, waiting, streaming, backing off. Its connection is
 * dropped at once. The first cause wins: an end that is decided stays. Idempotent, never blocks (also
 * with a lock held that callbacks take).
 * docs/cancelling.md.
 *
 * @param id any number: one that has ended, was never issued, or 0 is fine.
 * @return HELIO_OK; HELIO_ERR_INVALID_ARGUMENT for NULL, HELIO_ERR_FORKED. Any thread, also callbacks; not
 * async-signal-safe: catch Ctrl-C with a thread in sigwait, or a flag.
 */
HELIO_API helio_status helio_cancel(struct helio_client *client, helio_request_id id);

/**
 * Cancel all requests of a client that have begun, not ids that are only reserved. Idempotent, never blocks.
 * docs/cancelling.md.
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
 * The body of the server's refusal (its first MiB), or the beginning of what could not be understood; secrets masked.
 *
 * @param out_len gets the length in bytes, NUL not counted; may be NULL.
 * @return belongs to the error, ends in NUL; NULL with 0 if there is none. Any thread.
 */
HELIO_API
const char *helio_error_body(const struct helio_error *error,
                             size_t *out_len);

/**
 * The evidence of the request as one JSON object: attempts, times, bytes, what the server said of itself. docs/report.md.
 *
 * @param out_len gets the length in bytes, NUL not counted; may be NULL.
 * @return belongs to the error, ends in NUL; NULL with 0 if no request was made. Any thread.
 */
HELIO_API
const char *helio_error_report(const struct helio_error *error,
                               size_t *out_len);

/**
 * A copy of an error that is lent (of an event, of a chat), which outlives what lent it.
 *
 * @return an error that is the caller's, to be freed with helio_error_free; NULL for NULL. Any thread.
 */
HELIO_API struct helio_error *helio_error_copy(const struct helio_error *error);

/**
 * Free an error that an out-parameter or helio_error_copy gave. NULL is fine. Any thread; the client may be gone. Never for the error
 * inside an event.
 */
HELIO_API
void helio_error_free(struct helio_error *error);

/**
 * Make a conversation without messages.
 *
 * @param out_chat gets the conversation, to be freed with helio_chat_free.
 * @return HELIO_OK; HELIO_ERR_INVALID_ARGUMENT for NULL. Any thread.
 */
HELIO_API helio_status helio_chat_create(struct helio_chat **out_chat);

/**
 * Free a conversation. NULL is fine. Any thread; no other may use it any more.
 */
HELIO_API void helio_chat_free(struct helio_chat *chat);

/**
 * Add a message that is a text: {"role":…,"content":…}.
 *
 * @param role "system", "developer", "user" or "assistant", ends in NUL. ("tool": helio_chat_add_tool_result; others and
 * messages with parts, like images: helio_chat_add_json.)
 * @param text UTF-8, any text; copied before the call returns.
 * @param len bytes of `text`, or HELIO_STRLEN.
 * @return HELIO_OK; HELIO_ERR_INVALID_ARGUMENT (NULL, another role), _INVALID_UTF8: nothing was added, and
 * helio_chat_error says why. Any thread.
 */
HELIO_API
helio_status helio_chat_add(struct helio_chat *chat,
                            const char *role,
                            const char *text,
                            size_t len);

/**
 * Add a message as it is written, or each message of an array, all or none: images, what was stored before, messages of
 * other roles.
 *
 * @param message one JSON object with a "role", or an array of them; ends in NUL (JSON never holds one). Kept byte for
 * byte; copied before the call returns.
 * @return HELIO_OK; HELIO_ERR_INVALID_ARGUMENT (NULL, no "role"), _INVALID_UTF8, _INVALID_JSON: nothing was added, and
 * helio_chat_error says why. Any thread.
 */
HELIO_API
helio_status helio_chat_add_json(struct helio_chat *chat,
                                 const char *message);

/**
 * Add the assistant's message of an answer, as servers want it back in the next request: tool calls, reasoning, its
 * signatures and what else its provider wants to see again included; docs/conversation.md has the rules.
 *
 * @param completion a chat.completion (what helio_complete gave, or the data of a DONE), of which choice 0 counts; or one
 * message by itself, like that of another choice. Ends in NUL (JSON never holds one). Copied before the call returns.
 * @return HELIO_OK; HELIO_ERR_INVALID_ARGUMENT (NULL, no choice or message in it, tool calls of an answer that broke off),
 * _INVALID_UTF8, _INVALID_JSON: nothing was added, and helio_chat_error says why. Any thread.
 */
HELIO_API
helio_status helio_chat_add_reply(struct helio_chat *chat,
                                  const char *completion);

/**
 * Add what a tool answered: {"role":"tool","tool_call_id":…,"content":…}. Each call of a reply wants one, before the next
 * request.
 *
 * @param tool_call_id the "id" of the call, ends in NUL.
 * @param text UTF-8, any text, JSON or not; copied before the call returns.
 * @param len bytes of `text`, or HELIO_STRLEN.
 * @return HELIO_OK; HELIO_ERR_INVALID_ARGUMENT (NULL, an empty id), _INVALID_UTF8: nothing was added, and
 * helio_chat_error says why. Any thread.
 */
HELIO_API
helio_status helio_chat_add_tool_result(struct helio_chat *chat,
                                        const char *tool_call_id,
                                        const char *text,
                                        size_t len);

/**
 * How many messages a conversation has.
 *
 * @return 0 for NULL. Any thread.
 */
HELIO_API size_t helio_chat_count(const struct helio_chat *chat);

/**
 * Remove messages: a turn that failed, or the oldest of a long conversation.
 *
 * @param first the place of the first one to go, from 0.
 * @param count how many; beyond the end there is nothing to remove, which is no error. (size_t)-1: all behind `first`.
 * @return HELIO_OK; HELIO_ERR_INVALID_ARGUMENT for a NULL chat. Any thread.
 */
HELIO_API
helio_status helio_chat_remove(struct helio_chat *chat,
                               size_t first,
                               size_t count);

/**
 * The body of a request: the parameters as they are written, and the messages behind them. The same conversation and
 * parameters give the same bytes, as caches of prompts and answers need it. Without messages there is no "messages":
 * a prompt of the gateway's may have them.
 *
 * @param parameters one JSON object without "messages", like {"model":"gpt-4o-mini","stream":true}; ends in NUL. NULL: none:
 * {"messages":[…]}, to be stored; helio_chat_add_json takes the array back.
 * @param out_body gets the body, to be freed with helio_buffer_free; may be NULL.
 * @return HELIO_OK; HELIO_ERR_INVALID_ARGUMENT (a NULL chat, parameters with "messages"), _INVALID_UTF8, _INVALID_JSON:
 * helio_chat_error says why. Any thread.
 */
HELIO_API
helio_status helio_chat_request(const struct helio_chat *chat,
                                const char *parameters,
                                struct helio_buffer **out_body);

/**
 * Why a call on this conversation failed: the last one that did.
 *
 * @return an error for the helio_error_… functions; belongs to the chat, until the next of its calls that fails, or its
 * free; never freed by the host. NULL: none has failed, or the chat is NULL. Any thread, but a chat whose errors are
 * looked at is used by one thread at a time.
 */
HELIO_API
const struct helio_error *helio_chat_error(const struct helio_chat *chat);

/**
 * One value out of a JSON document, by its JSON Pointer (RFC 6901): "/choices/0/message/content", "" for all of it. In a
 * name ~1 stands for / and ~0 for ~. A string comes out unescaped, without its quotes; anything else as it is written.
 *
 * @param json UTF-8; used until the call returns.
 * @param len bytes of `json`, or HELIO_STRLEN.
 * @param pointer ends in NUL.
 * @param out_value gets the value, to be freed with helio_buffer_free; may be NULL: to see whether it is there.
 * @return HELIO_OK, for null, too (its value is the text null); HELIO_ERR_NOT_FOUND: nothing is there, and `out_value` gets NULL;
 * HELIO_ERR_INVALID_ARGUMENT (NULL, no pointer), _INVALID_UTF8, _INVALID_JSON (the document). Any thread.
 */
HELIO_API
helio_status helio_json_get(const char *json,
                            size_t len,
                            const char *pointer,
                            struct helio_buffer **out_value);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* HELIO_H */
