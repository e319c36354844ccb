/* What the examples share, hardly any of it about helio itself: a string that grows, text as JSON,
 * and a request made from the environment.
 *
 *   BASE_URL    where to ask instead of the Helicone gateway, e.g. http://127.0.0.1:8080/v1
 *   MODEL       which model; gpt-4o-mini unless set
 *   MAX_TOKENS  how long an answer may be; the server's own limit unless set
 *
 * The key is none of the examples' business: the library reads HELIO_API_KEY, or HELICONE_API_KEY
 * for the gateway, by itself.
 */
#ifndef HELIO_EXAMPLES_COMMON_H
#define HELIO_EXAMPLES_COMMON_H

#include <helio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct text {
  char *data; /* always ends in NUL once anything was added */
  size_t len, capacity;
} text;

static inline void text_add_bytes(text *t, const char *bytes, size_t len) {
  if (t->len + len + 1 > t->capacity) {
    t->capacity = (t->len + len + 1) * 2;
    t->data = realloc(t->data, t->capacity);
    if (!t->data) {
      fputs("out of memory\n", stderr);
      exit(EXIT_FAILURE);
    }
  }
  if (len) memcpy(t->data + t->len, bytes, len);
  t->len += len;
  t->data[t->len] = '\0';
}

static inline void text_add(text *t, const char *string) {
  text_add_bytes(t, string, strlen(string));
}

/* Adds `bytes`, which are UTF-8, as a JSON string with its quotes. JSON wants three things escaped:
 * the quote, the backslash and the control characters; all else may stand as it is. */
static inline void text_add_json(text *t, const char *bytes, size_t len) {
  size_t i;
  text_add(t, "\"");
  for (i = 0; i < len; i++) {
    unsigned char c = (unsigned char)bytes[i];
    char escape[8];
    if (c == '"' || c == '\\') {
      snprintf(escape, sizeof escape, "\\%c", c);
      text_add(t, escape);
    } else if (c < 0x20) {
      snprintf(escape, sizeof escape, "\\u%04x", (unsigned)c);
      text_add(t, escape);
    } else {
      text_add_bytes(t, bytes + i, 1);
    }
  }
  text_add(t, "\"");
}

/* One message of a conversation: {"role":"user","content":"..."} */
static inline void text_add_message(text *t, const char *role, const char *content, size_t len) {
  text_add(t, "{\"role\":");
  text_add_json(t, role, strlen(role));
  text_add(t, ",\"content\":");
  text_add_json(t, content, len);
  text_add(t, "}");
}

static inline const char *environment(const char *name, const char *otherwise) {
  const char *value = getenv(name);
  return value && *value ? value : otherwise;
}

/* The parameters of a request: MODEL and MAX_TOKENS from the environment, and `more`, which is JSON like
 * "\"stream\":true" or empty. Free its data. */
static inline text parameters(const char *more) {
  text all = {0};
  const char *model = environment("MODEL", "gpt-4o-mini");
  const char *max_tokens = environment("MAX_TOKENS", NULL);
  text_add(&all, "{\"model\":");
  text_add_json(&all, model, strlen(model));
  if (max_tokens) {
    text_add(&all, ",\"max_tokens\":");
    text_add(&all, max_tokens);
  }
  if (*more) text_add(&all, ",");
  text_add(&all, more);
  text_add(&all, "}");
  return all;
}

/* A request body around `messages`, which are JSON with commas between them. Free its data. */
static inline text request_body(const char *messages, int stream) {
  text more = {0}, body;
  text_add(&more, "\"messages\":[");
  text_add(&more, messages);
  text_add(&more, stream ? "],\"stream\":true" : "]");
  body = parameters(more.data);
  free(more.data);
  return body;
}

/* The same with one message of the user's in it. */
static inline text question_body(const char *question, int stream) {
  text message = {0}, body;
  text_add_message(&message, "user", question, strlen(question));
  body = request_body(message.data, stream);
  free(message.data);
  return body;
}

/* What to ask when several are asked at once: the program's arguments, else PROMPT, else three questions
 * of ours. Count `i` up from 0; NULL comes after the last one. */
static inline const char *question(int argc, char **argv, int i) {
  static const char *const ours[] = {"Why is the sky blue?", "Why is the grass green?",
                                     "Why is the night dark?", NULL};
  const char *prompt = environment("PROMPT", NULL);
  if (argc > 1) return argv[i + 1];
  if (prompt) return i == 0 ? prompt : NULL;
  return ours[i];
}

/* Says what went wrong. The message of the library says what to do about it, too. */
static inline void complain(const char *program, helio_status status, const helio_error *error) {
  const char *message = helio_error_message(error, NULL);
  fprintf(stderr, "%s: %s (%s)\n", program, message ? message : "no further details",
          helio_status_name(status));
}

/* A client for BASE_URL, or for the Helicone gateway; NULL after a complaint. `settings` are the members of its
 * config, with commas between them, but for base_url; may be "". */
static inline helio_client *client_with(const char *program, const char *settings, helio_notify_fn notify) {
  helio_client_options options;
  helio_client *client = NULL;
  helio_error *error = NULL;
  helio_status status;
  text config = {0};
  const char *base_url = environment("BASE_URL", NULL);

  text_add(&config, "{");
  if (base_url) {
    text_add(&config, "\"base_url\":");
    text_add_json(&config, base_url, strlen(base_url));
    if (*settings) text_add(&config, ",");
  }
  text_add(&config, settings);
  text_add(&config, "}");
  helio_client_options_init(&options, sizeof options);
  options.config = config.data;
  options.notify_fn = notify;
  status = helio_client_create(&options, &client, &error);
  if (status != HELIO_OK) complain(program, status, error);
  helio_error_free(error);
  free(config.data);
  return client;
}

static inline helio_client *notified_client_from_environment(const char *program, helio_notify_fn notify) {
  return client_with(program, "", notify);
}

static inline helio_client *client_from_environment(const char *program) {
  return client_with(program, "", NULL);
}

#endif
