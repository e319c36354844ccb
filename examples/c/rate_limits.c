/* Rate limits: how not to meet them, and what is told when they are met. With limits of its own the client lets its
 * requests wait for their turn, instead of having them refused. See common.h for the environment; RPM says how many
 * requests a minute, 120 unless set, QUESTIONS how many are asked, 3 unless set.
 */
#include "feature.h"

/* How long it waited for its turn, and what the server says is left. */
static int32_t show_limits(const helio_event *event, void *user_data) {
  (void)user_data;
  if (event->kind == HELIO_EVENT_DONE && event->report) {
    char *left = json_text(event->report, "/headers/x-ratelimit-remaining-requests", "");
    char *policy_left = json_text(event->report, "/headers/helicone-ratelimit-remaining", "not told");
    printf("waited %.1f s for its turn; requests left: %s\n", json_number(event->report, "/us/queued", 0) / 1e6,
           *left ? left : policy_left);
    free(left);
    free(policy_left);
  }
  return 0;
}

int main(void) {
  helio_client *client;
  helio_chat *chat = NULL;
  helio_status status = HELIO_OK;
  text config = {0};
  int i, questions = atoi(environment("QUESTIONS", "3"));

  text_add(&config, "\"limits\":{\"requests_per_minute\":");
  text_add(&config, environment("RPM", "120"));
  text_add(&config, ",\"tokens_per_minute\":100000},\"retry\":{\"max_retries\":0}");
  client = client_with("rate_limits", config.data, NULL);
  free(config.data);
  if (!client) return EXIT_FAILURE;
  helio_chat_create(&chat);
  helio_chat_add(chat, "user", environment("PROMPT", "Name a river."), HELIO_STRLEN);
  for (i = 0; i < questions && status == HELIO_OK; i++) {
    helio_error *error = NULL;
    status = ask(client, chat, "", show_limits, NULL, &error);
    if (status != HELIO_OK) complain("rate_limits", status, error);
    /* Two refusals that look alike on the wire: both are 429. */
    if (status == HELIO_ERR_RATE_LIMITED)
      fprintf(stderr, "too many requests: wait %.1f s\n", (double)helio_error_retry_after_ms(error) / 1000);
    else if (status == HELIO_ERR_QUOTA_EXCEEDED)
      fputs("the credits are used up: waiting does not help\n", stderr);
    helio_error_free(error);
  }

  helio_chat_free(chat);
  helio_client_destroy(client, HELIO_WAIT_FOREVER);
  return status == HELIO_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
