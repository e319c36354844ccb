/* Any parameter of the endpoint, tried from the command line: name=JSON. The request is held against what the endpoint
 * takes before it is sent, and what would be refused is told. See common.h for the environment.
 *
 *   ./parameters temperature=0.2 seed=7 'stop=["\n"]' top_p=0.9
 *   ./parameters temperature=3 top_logprobs=5
 *   ./parameters 'model="claude-sonnet-4:online,gpt-4o"' 'plugins=[{"id":"web"}]'
 *   ./parameters 'prompt_id="trip-planner"' 'inputs={"city":"Lisbon"}'
 */
#include "common.h"

int main(int argc, char **argv) {
  helio_client *client;
  helio_buffer *completion = NULL, *content = NULL;
  helio_error *error = NULL;
  helio_status status;
  text body = {0};
  int i, has_model = 0, has_messages = 0;

  for (i = 1; i < argc; i++) {
    const char *equals = strchr(argv[i], '=');
    if (!equals) {
      fprintf(stderr, "parameters: %s is not name=JSON, like seed=7 or 'stop=[\".\"]'\n", argv[i]);
      free(body.data);
      return EXIT_FAILURE;
    }
    has_model |= strncmp(argv[i], "model=", 6) == 0;
    /* A prompt that is kept at the gateway has messages of its own. */
    has_messages |= strncmp(argv[i], "messages=", 9) == 0 || strncmp(argv[i], "prompt_id=", 10) == 0;
    text_add(&body, body.len ? "," : "{");
    text_add_json(&body, argv[i], (size_t)(equals - argv[i]));
    text_add(&body, ":");
    text_add(&body, equals + 1);
  }
  if (!has_model) {
    const char *model = environment("MODEL", "gpt-4o-mini");
    text_add(&body, body.len ? ",\"model\":" : "{\"model\":");
    text_add_json(&body, model, strlen(model));
  }
  if (!has_messages) {
    const char *prompt = environment("PROMPT", "Why is the sky blue?");
    text_add(&body, ",\"messages\":[");
    text_add_message(&body, "user", prompt, strlen(prompt));
    text_add(&body, "]");
  }
  text_add(&body, "}");

  client = client_with("parameters", "\"validate\":\"strict\"", NULL);
  if (!client) return EXIT_FAILURE;
  status = helio_complete(client, body.data, body.len, NULL, &completion, &error);
  if (status != HELIO_OK)
    complain("parameters", status, error);
  else if (helio_json_get(helio_buffer_data(completion), HELIO_STRLEN, "/choices/0/message/content", &content) ==
           HELIO_OK)
    printf("%s\n", helio_buffer_data(content));

  helio_error_free(error);
  helio_buffer_free(content);
  helio_buffer_free(completion);
  helio_client_destroy(client, HELIO_WAIT_FOREVER);
  free(body.data);
  return status == HELIO_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
