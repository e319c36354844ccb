/* A conversation in the terminal. Ends with the input (Ctrl-D). See common.h for the environment.
 *
 * The server remembers nothing: each turn sends the whole conversation. Here that is one growing piece
 * of JSON, the messages with commas between them. A turn that fails is taken off it again, so
 * the next one starts from what both sides have really said.
 */
#include "common.h"

static int32_t show_and_keep(const helio_event *event, void *user_data) {
  if (event->kind == HELIO_EVENT_CHUNK && event->text) {
    fwrite(event->text, 1, event->text_len, stdout);
    fflush(stdout);
  } else if (event->kind == HELIO_EVENT_DONE && event->text) {
    text_add_bytes(user_data, event->text, event->text_len); /* lent until we return: take a copy */
  }
  return 0;
}

static helio_status say(helio_client *client, text *history, const char *line, size_t len) {
  size_t before = history->len;
  helio_request_options options;
  helio_error *error = NULL;
  helio_status status;
  text body, answer = {0};

  if (before) text_add(history, ",");
  text_add_message(history, "user", line, len);
  body = request_body(history->data, 1);
  helio_request_options_init(&options, sizeof options);
  options.on_event = show_and_keep;
  options.user_data = &answer;
  status = helio_complete(client, body.data, body.len, &options, NULL, &error);
  putchar('\n');
  if (status == HELIO_OK) {
    text_add(history, ",");
    text_add_message(history, "assistant", answer.data ? answer.data : "", answer.len);
  } else {
    int64_t wait_ms = helio_error_retry_after_ms(error);
    complain("chat", status, error);
    if (wait_ms > 0) fprintf(stderr, "The same may work in %.1f s. ", (double)wait_ms / 1000);
    fputs("This turn is forgotten; the conversation before it stands.\n", stderr);
    history->len = before;
    history->data[before] = '\0';
  }
  helio_error_free(error);
  free(answer.data);
  free(body.data);
  return status;
}

int main(void) {
  helio_client *client = client_from_environment("chat");
  char *line = NULL;
  size_t capacity = 0;
  ssize_t len;
  text history = {0};
  int exit_code = EXIT_SUCCESS;

  if (!client) return EXIT_FAILURE;
  while (fputs("> ", stdout), fflush(stdout), (len = getline(&line, &capacity, stdin)) != -1) {
    if (len > 0 && line[len - 1] == '\n') len--;
    if (len > 0 && say(client, &history, line, (size_t)len) != HELIO_OK) exit_code = EXIT_FAILURE;
  }
  putchar('\n');
  free(line);
  free(history.data);
  helio_client_destroy(client, HELIO_WAIT_FOREVER);
  return exit_code;
}
