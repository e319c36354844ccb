/* Two caches. The provider's prompt cache: a long beginning that is the same in each request is read once and is cheap
 * from then on. The gateway's response cache: the very same request is answered without any model. See common.h for
 * the environment.
 *
 * Both need the same bytes again: helio sends what it is given, and helio_chat_request writes the same messages the
 * same way each time.
 */
#include "feature.h"

static const char with_response_cache[] =
    "\"helicone\":{\"cache\":{\"enabled\":true,\"max_age_s\":3600,\"bucket_size\":1,\"seed\":\"1\"}}";

/* A long text that ends in a breakpoint: Anthropic's models cache what stands before it. OpenAI's cache long beginnings
 * by themselves, and prompt_cache_key keeps those together that share one. */
static void add_handbook(helio_chat *chat) {
  text message = {0};
  int i;
  text_add(&message, "{\"role\":\"system\",\"content\":[{\"type\":\"text\",\"text\":\"");
  for (i = 0; i < 400; i++) text_add(&message, "The handbook has many rules, and this is one of them. ");
  text_add(&message, "\",\"cache_control\":{\"type\":\"ephemeral\"}}]}");
  helio_chat_add_json(chat, message.data);
  free(message.data);
}

static int32_t show_caches(const helio_event *event, void *user_data) {
  (void)user_data;
  if (event->kind == HELIO_EVENT_DONE && event->status == HELIO_OK) {
    char *hit = json_text(event->report, "/headers/helicone-cache", "not told");
    double tokens = json_number(event->report, "/usage/prompt_tokens", 0);
    double cached = json_number(event->report, "/usage/prompt_tokens_details/cached_tokens", 0);
    printf("response cache: %s; prompt cache: %.0f of %.0f tokens\n", hit, cached, tokens);
    free(hit);
  }
  return 0;
}

int main(void) {
  const char *const questions[] = {"How many rules are there?", "How many rules are there?", "And which is the first?"};
  helio_client *client = client_with("caching", with_response_cache, NULL);
  helio_chat *chat = NULL;
  helio_status status = HELIO_OK;
  int i;

  if (!client) return EXIT_FAILURE;
  helio_chat_create(&chat);
  add_handbook(chat);
  for (i = 0; i < 3 && status == HELIO_OK; i++) {
    helio_error *error = NULL;
    helio_chat_add(chat, "user", questions[i], HELIO_STRLEN);
    status = ask(client, chat, "\"prompt_cache_key\":\"handbook-1\"", show_caches, NULL, &error);
    if (status != HELIO_OK) complain("caching", status, error);
    helio_error_free(error);
    helio_chat_remove(chat, 1, 1); /* each of these questions stands alone */
  }

  helio_chat_free(chat);
  helio_client_destroy(client, HELIO_WAIT_FOREVER);
  return status == HELIO_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
