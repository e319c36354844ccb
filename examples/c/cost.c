/* What it costs: answers of a bounded length, the tokens of each, and an end when a budget is used up. See common.h for
 * the environment; BUDGET says how many tokens may be used in all, 200 unless set.
 */
#include "feature.h"

static double used, cost;

/* The report has the usage of a stream, too, if the server tells it: stream_options asks OpenAI's and others for it. */
static int32_t count(const helio_event *event, void *user_data) {
  (void)user_data;
  if (event->kind == HELIO_EVENT_DONE && event->report) {
    double tokens = json_number(event->report, "/usage/total_tokens", 0);
    used += tokens;
    cost += json_number(event->report, "/usage/cost", 0); /* dollars, where the gateway can tell */
    fprintf(stderr, "%.0f tokens, %.0f in all", tokens, used);
    if (cost > 0) fprintf(stderr, ", $%.6f", cost);
    fputc('\n', stderr);
  }
  return 0;
}

int main(void) {
  const char *const questions[] = {"Tell me of the sea.", "Tell me of the mountains.", "Tell me of the desert.",
                                   "Tell me of the woods."};
  /* MAX_TOKENS stands before this. OpenAI's reasoning models want "max_completion_tokens" instead. */
  const char *bounded = getenv("MAX_TOKENS")
                            ? "\"stream\":true,\"stream_options\":{\"include_usage\":true}"
                            : "\"stream\":true,\"stream_options\":{\"include_usage\":true},\"max_tokens\":40";
  double budget = strtod(environment("BUDGET", "200"), NULL);
  helio_client *client = client_from_environment("cost");
  helio_chat *chat = NULL;
  helio_status status = HELIO_OK;
  int i;

  if (!client) return EXIT_FAILURE;
  helio_chat_create(&chat);
  for (i = 0; i < 4 && status == HELIO_OK && used < budget; i++) {
    helio_buffer *completion = NULL;
    helio_error *error = NULL;
    helio_chat_add(chat, "user", questions[i], HELIO_STRLEN);
    status = ask(client, chat, bounded, count, &completion, &error);
    if (status == HELIO_OK) {
      char *content = json_text(helio_buffer_data(completion), "/choices/0/message/content", "");
      char *finish = json_text(helio_buffer_data(completion), "/choices/0/finish_reason", "");
      printf("%s%s\n", content, strcmp(finish, "length") == 0 ? " [cut at max_tokens]" : "");
      free(content);
      free(finish);
    } else {
      complain("cost", status, error);
    }
    helio_chat_remove(chat, 0, SIZE_MAX); /* a long conversation costs more with each turn: all of it is read again */
    helio_error_free(error);
    helio_buffer_free(completion);
  }
  if (used >= budget) printf("The budget of %.0f tokens is used up after %d answers.\n", budget, i);

  helio_chat_free(chat);
  helio_client_destroy(client, HELIO_WAIT_FOREVER);
  return status == HELIO_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
