/* Several answers to one question, to choose from. All of them are complete, or the call fails. See common.h for the
 * environment; CHOICES says how many, 3 unless set.
 *
 *   PROMPT="A name for a cat." ./choices
 */
#include "feature.h"

int main(void) {
  const char *prompt = environment("PROMPT", "A name for a cat. Only the name.");
  helio_client *client = client_from_environment("choices");
  helio_chat *chat = NULL;
  helio_buffer *completion = NULL;
  helio_error *error = NULL;
  helio_status status;
  text more = {0};
  int i;

  if (!client) return EXIT_FAILURE;
  helio_chat_create(&chat);
  helio_chat_add(chat, "user", prompt, HELIO_STRLEN);
  text_add(&more, "\"temperature\":1,\"n\":");
  text_add(&more, environment("CHOICES", "3"));
  status = ask(client, chat, more.data, NULL, &completion, &error);
  if (status != HELIO_OK) complain("choices", status, error);
  for (i = 0; status == HELIO_OK; i++) {
    char pointer[64];
    helio_buffer *message = NULL;
    snprintf(pointer, sizeof pointer, "/choices/%d/message", i);
    if (helio_json_get(helio_buffer_data(completion), HELIO_STRLEN, pointer, &message) != HELIO_OK) break;
    {
      char *content = json_text(helio_buffer_data(message), "/content", "");
      printf("%d: %s\n", i, content);
      free(content);
    }
    /* To go on from the last one: helio_chat_add_reply takes a message by itself, too. */
    if (i > 0) helio_chat_remove(chat, 1, 1);
    helio_chat_add_reply(chat, helio_buffer_data(message));
    helio_buffer_free(message);
  }
  if (status == HELIO_OK) printf("%d answers, the conversation goes on from number %d\n", i, i - 1);

  helio_error_free(error);
  helio_buffer_free(completion);
  helio_chat_free(chat);
  helio_client_destroy(client, HELIO_WAIT_FOREVER);
  free(more.data);
  return status == HELIO_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
