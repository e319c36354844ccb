/* A conversation in the terminal. Ends with the input (Ctrl-D). See common.h for the environment.
 *
 * The server remembers nothing: each turn sends the whole conversation, which a helio_chat keeps. A turn
 * that fails is taken out of it again, so the next one starts from what both sides have really said.
 */
#include "feature.h"

static int32_t show(const helio_event *event, void *user_data) {
  (void)user_data;
  if (event->kind == HELIO_EVENT_CHUNK && event->text) {
    fwrite(event->text, 1, event->text_len, stdout);
    fflush(stdout);
  }
  return 0;
}

static helio_status say(helio_client *client, helio_chat *chat, const char *line, size_t len) {
  size_t before = helio_chat_count(chat);
  helio_buffer *completion = NULL;
  helio_error *error = NULL;
  helio_status status = helio_chat_add(chat, "user", line, len);

  if (status == HELIO_OK) status = ask(client, chat, "\"stream\":true", show, &completion, &error);
  putchar('\n');
  if (status == HELIO_OK) status = helio_chat_add_reply(chat, helio_buffer_data(completion));
  if (status != HELIO_OK) {
    int64_t wait_ms = helio_error_retry_after_ms(error);
    complain("chat", status, error ? error : helio_chat_error(chat));
    if (wait_ms > 0) fprintf(stderr, "The same may work in %.1f s. ", (double)wait_ms / 1000);
    fputs("This turn is forgotten; the conversation before it stands.\n", stderr);
    helio_chat_remove(chat, before, SIZE_MAX);
  }
  helio_error_free(error);
  helio_buffer_free(completion);
  return status;
}

int main(void) {
  helio_client *client = client_from_environment("chat");
  helio_chat *chat = NULL;
  char *line = NULL;
  size_t capacity = 0;
  ssize_t len;
  int exit_code = EXIT_SUCCESS;

  if (!client) return EXIT_FAILURE;
  helio_chat_create(&chat);
  while (fputs("> ", stdout), fflush(stdout), (len = getline(&line, &capacity, stdin)) != -1) {
    if (len > 0 && line[len - 1] == '\n') len--;
    if (len > 0 && say(client, chat, line, (size_t)len) != HELIO_OK) exit_code = EXIT_FAILURE;
  }
  putchar('\n');
  free(line);
  helio_chat_free(chat);
  helio_client_destroy(client, HELIO_WAIT_FOREVER);
  return exit_code;
}
