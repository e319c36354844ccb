/* What the examples of the endpoint's features share: a turn of a conversation, and a look into its answer. No
 * JSON library is needed: helio_chat makes the requests, helio_json_get finds what stands in an answer. See
 * common.h for the environment. */
#ifndef HELIO_EXAMPLES_FEATURE_H
#define HELIO_EXAMPLES_FEATURE_H

#include "common.h"

/* Asks for the next message of the conversation. `on_event` may be NULL. Free both results. */
static inline helio_status ask_with(helio_client *client, const helio_chat *chat, const char *more,
                                    const helio_request_options *options, helio_buffer **completion,
                                    helio_error **error) {
  text all = parameters(more);
  helio_buffer *body = NULL;
  helio_status status = helio_chat_request(chat, all.data, &body);
  if (status == HELIO_OK)
    status = helio_complete(client, helio_buffer_data(body), helio_buffer_size(body), options, completion, error);
  helio_buffer_free(body);
  free(all.data);
  return status;
}

static inline helio_status ask(helio_client *client, const helio_chat *chat, const char *more,
                               helio_event_fn on_event, helio_buffer **completion, helio_error **error) {
  helio_request_options options;
  helio_request_options_init(&options, sizeof options);
  options.on_event = on_event;
  return ask_with(client, chat, more, &options, completion, error);
}

/* The value at a place of a JSON text, as a string to be freed; `otherwise` if nothing is there, or null. */
static inline char *json_text(const char *json, const char *pointer, const char *otherwise) {
  helio_buffer *value = NULL;
  char *copy;
  const char *data = otherwise;
  if (helio_json_get(json, HELIO_STRLEN, pointer, &value) == HELIO_OK && strcmp(helio_buffer_data(value), "null"))
    data = helio_buffer_data(value);
  copy = malloc(strlen(data) + 1);
  if (!copy) exit(EXIT_FAILURE);
  strcpy(copy, data);
  helio_buffer_free(value);
  return copy;
}

/* The same as a number. */
static inline double json_number(const char *json, const char *pointer, double otherwise) {
  char *value = json_text(json, pointer, "");
  double number = *value ? strtod(value, NULL) : otherwise;
  free(value);
  return number;
}

#endif
