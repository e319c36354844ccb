/* A model that thinks before it answers: how much, its thoughts beside its answer, and what it must see again in the
 * next turn. See common.h for the environment.
 *
 *   MODEL=claude-sonnet-4 ./reasoning
 */
#include "feature.h"

/* Thoughts go to standard error, the answer to standard output. */
static int32_t show(const helio_event *event, void *user_data) {
  (void)user_data;
  if (event->kind != HELIO_EVENT_CHUNK) return 0;
  if (event->reasoning) {
    fwrite(event->reasoning, 1, event->reasoning_len, stderr);
    fflush(stderr);
  }
  if (event->text) {
    fwrite(event->text, 1, event->text_len, stdout);
    fflush(stdout);
  }
  return 0;
}

int main(void) {
  /* OpenAI takes the effort, Anthropic the budget, Gemini wants both. max_tokens covers thoughts and answer. */
  static const char thinking[] =
      "\"stream\":true,\"reasoning_effort\":\"low\",\"reasoning_options\":{\"budget_tokens\":1024}";
  const char *const questions[] = {environment("PROMPT", "Is 1009 a prime number?"), "And 1011?"};
  helio_client *client = client_from_environment("reasoning");
  helio_chat *chat = NULL;
  helio_status status = HELIO_OK;
  int turn;

  if (!client) return EXIT_FAILURE;
  helio_chat_create(&chat);
  for (turn = 0; turn < 2 && status == HELIO_OK; turn++) {
    helio_buffer *completion = NULL;
    helio_error *error = NULL;
    helio_chat_add(chat, "user", questions[turn], HELIO_STRLEN);
    status = ask(client, chat, thinking, show, &completion, &error);
    putchar('\n');
    if (status == HELIO_OK) {
      const char *reply = helio_buffer_data(completion);
      double tokens = json_number(reply, "/usage/completion_tokens_details/reasoning_tokens", -1);
      if (tokens >= 0) fprintf(stderr, "\n%.0f tokens of thoughts\n", tokens);
      status = helio_chat_add_reply(chat, reply); /* with its thoughts and their signatures */
    }
    if (status != HELIO_OK) complain("reasoning", status, error ? error : helio_chat_error(chat));
    helio_error_free(error);
    helio_buffer_free(completion);
  }

  helio_chat_free(chat);
  helio_client_destroy(client, HELIO_WAIT_FOREVER);
  return status == HELIO_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
