/* Requests that are found again: metadata in the body, and the gateway's sessions, properties and ids as config. Each
 * turn says where in the session it belongs, and has an id of its own. See common.h for the environment.
 */
#include "feature.h"

/* For all requests of the client. Other servers than the gateway ignore these headers. */
static const char for_all[] =
    "\"helicone\":{\"user_id\":\"ada\",\"session\":{\"id\":\"trip-7\",\"name\":\"Planning a trip\"},"
    "\"properties\":{\"App\":\"metadata.c\",\"Build\":42}}";

/* For one request, over those. The id is a UUID of version 4: a program that has no generator of its own can leave it
 * out, and the gateway gives one. */
static const char *const for_each[] = {
    "{\"helicone\":{\"request_id\":\"1b4e28ba-2fa1-41d2-883f-0016d3cca427\",\"session\":{\"path\":\"/trip\"}}}",
    "{\"helicone\":{\"request_id\":\"6fa459ea-ee8a-4ca4-894e-db77e160355e\",\"session\":{\"path\":\"/trip/hotel\"}}}"};

/* The report says by which names this request is known on both sides. */
static int32_t show_names(const helio_event *event, void *user_data) {
  (void)user_data;
  if (event->kind == HELIO_EVENT_DONE && event->report) {
    char *ours = json_text(event->report, "/client_request_id", "none");
    char *theirs = json_text(event->report, "/headers/helicone-id", "none");
    char *provider = json_text(event->report, "/server_request_id", "none");
    printf("client_request_id %s, helicone-id %s, server_request_id %s\n", ours, theirs, provider);
    free(ours);
    free(theirs);
    free(provider);
  }
  return 0;
}

int main(void) {
  const char *const questions[] = {"Where shall I go in May?", "And where shall I sleep there?"};
  helio_client *client = client_with("metadata", for_all, NULL);
  helio_chat *chat = NULL;
  helio_status status = HELIO_OK;
  int turn;

  if (!client) return EXIT_FAILURE;
  helio_chat_create(&chat);
  for (turn = 0; turn < 2 && status == HELIO_OK; turn++) {
    helio_request_options options;
    helio_buffer *completion = NULL;
    helio_error *error = NULL;
    helio_request_options_init(&options, sizeof options);
    options.on_event = show_names;
    options.overrides = for_each[turn];
    helio_chat_add(chat, "user", questions[turn], HELIO_STRLEN);
    status = ask_with(client, chat, "\"user\":\"ada\",\"metadata\":{\"feature\":\"trip\",\"experiment\":\"b\"}",
                      &options, &completion, &error);
    if (status == HELIO_OK) {
      char *content = json_text(helio_buffer_data(completion), "/choices/0/message/content", "");
      printf("%s\n", content);
      free(content);
      helio_chat_add_reply(chat, helio_buffer_data(completion));
    } else {
      complain("metadata", status, error);
    }
    helio_error_free(error);
    helio_buffer_free(completion);
  }

  helio_chat_free(chat);
  helio_client_destroy(client, HELIO_WAIT_FOREVER);
  return status == HELIO_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
