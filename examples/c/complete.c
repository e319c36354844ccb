/* The shortest call: ask, wait, print the answer. See common.h for the environment it reads.
 *
 *   PROMPT="Name three rivers." ./complete
 */
#include "common.h"

/* The last event of a request carries the answer's whole text, so no JSON has to be taken apart. */
static int32_t print_answer(const helio_event *event, void *user_data) {
  (void)user_data;
  if (event->kind == HELIO_EVENT_DONE && event->status == HELIO_OK)
    printf("%s\n", event->text ? event->text : event->data);
  return 0;
}

int main(void) {
  const char *prompt = environment("PROMPT", "Why is the sky blue?");
  helio_client *client = client_from_environment("complete");
  helio_request_options options;
  helio_error *error = NULL;
  helio_status status;
  text message = {0}, body;

  if (!client) return EXIT_FAILURE;
  text_add_message(&message, "user", prompt, strlen(prompt));
  body = request_body(message.data, 0);
  helio_request_options_init(&options, sizeof options);
  options.on_event = print_answer;
  /* The NULL could be a helio_buffer **: the whole chat.completion as JSON. */
  status = helio_complete(client, body.data, body.len, &options, NULL, &error);
  if (status != HELIO_OK) complain("complete", status, error);

  helio_error_free(error);
  free(message.data);
  free(body.data);
  helio_client_destroy(client, HELIO_WAIT_FOREVER);
  return status == HELIO_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
