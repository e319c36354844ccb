/* Written and compiled against the first header of helio, which lies beside it; run with the library of today. Neither is ever changed.
 *
 *   first BASE_URL
 */
#include "helio.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int responses, chunks, dones;
static char heard[256];

static int32_t on_event(const helio_event *event, void *user_data) {
  if (user_data != heard || event->struct_size < sizeof(helio_event)) exit(10);
  if (event->kind == HELIO_EVENT_RESPONSE) responses++;
  if (event->kind == HELIO_EVENT_CHUNK) {
    chunks++;
    strncat(heard, event->text ? event->text : "", sizeof heard - strlen(heard) - 1);
  }
  if (event->kind == HELIO_EVENT_DONE) {
    dones++;
    if (event->status == HELIO_OK && (event->text_len != strlen(heard) || memcmp(event->text, heard, event->text_len))) exit(11);
  }
  return 0;
}

static void expect(int holds, const char *what) {
  if (holds) return;
  fprintf(stderr, "first: %s\n", what);
  exit(1);
}

int main(int argc, char **argv) {
  static const char whole[] = "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"one two three\"}]}";
  static const char stream[] = "{\"model\":\"m\",\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":\"one two three\"}]}";
  static const char refused[] = "{\"model\":\"refuse\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}";
  char config[256];
  helio_client_options options;
  helio_request_options request;
  helio_client *client = NULL;
  helio_buffer *answer = NULL;
  helio_error *error = NULL;
  helio_request_id id;
  size_t len;

  expect(argc == 2, "usage: first BASE_URL");
  expect(helio_abi_version() == HELIO_ABI_VERSION, "another interface");
  expect(helio_version_string()[0] != 0 && helio_has_feature("no such feature") == 0, "version and features");
  snprintf(config, sizeof config, "{\"base_url\":\"%s\",\"retry\":{\"max_retries\":0}}", argv[1]);
  helio_client_options_init(&options, sizeof options);
  options.config = config;
  expect(helio_client_create(&options, &client, &error) == HELIO_OK && client && !error, "create");
  expect(helio_client_set_api_key(client, "k", 1) == HELIO_OK, "set_api_key");

  expect(helio_complete(client, whole, sizeof whole - 1, NULL, &answer, &error) == HELIO_OK, "an answer");
  expect(helio_buffer_size(answer) == strlen(helio_buffer_data(answer)), "its size");
  expect(strstr(helio_buffer_data(answer), "You said: one two three") != NULL, "its text");
  helio_buffer_free(answer);

  helio_request_options_init(&request, sizeof request);
  request.on_event = on_event;
  request.user_data = heard;
  expect(helio_complete(client, stream, sizeof stream - 1, &request, &answer, &error) == HELIO_OK, "a stream");
  expect(responses == 1 && chunks > 2 && dones == 1 && !strcmp(heard, "You said: one two three"), "its events");
  helio_buffer_free(answer);

  expect(helio_complete(client, refused, sizeof refused - 1, NULL, &answer, &error) == HELIO_ERR_BAD_REQUEST, "a refusal");
  expect(!answer && helio_error_status(error) == HELIO_ERR_BAD_REQUEST && helio_error_http_status(error) == 400, "its status");
  expect(strstr(helio_error_message(error, &len), "never served") && len > 0, "its message");
  expect(!strcmp(helio_error_code(error, NULL), "model_refused") && helio_error_body(error, NULL) && helio_error_report(error, NULL), "its parts");
  expect(!strcmp(helio_status_name(HELIO_ERR_BAD_REQUEST), "HELIO_ERR_BAD_REQUEST"), "its name");
  helio_error_free(error);

  id = helio_reserve(client);
  helio_request_options_init(&request, sizeof request);
  request.id = id;
  expect(id != 0 && helio_cancel(client, id) == HELIO_OK, "a cancel before its request");
  expect(helio_complete(client, whole, sizeof whole - 1, &request, &answer, NULL) == HELIO_ERR_CANCELLED, "what was cancelled before");
  expect(helio_client_shutdown(client) == HELIO_OK && helio_client_destroy(client, 10000) == HELIO_OK, "the end");
  puts("all held");
  return 0;
}
