/* An answer that is JSON: any object (json_object), or exactly what a schema says (json_schema). See common.h for the
 * environment.
 *
 *   ./json             JSON mode
 *   ./json schema      a schema, which strict makes binding
 */
#include "feature.h"

static const char any_object[] = "\"temperature\":0,\"response_format\":{\"type\":\"json_object\"}";
static const char our_schema[] =
    "\"temperature\":0,\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"city\",\"strict\":true,\"schema\":"
    "{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\"},\"country\":{\"type\":\"string\"},"
    "\"population\":{\"type\":\"integer\"}},\"required\":[\"name\",\"country\",\"population\"],"
    "\"additionalProperties\":false}}}";

/* 1: the answer is there, and it is JSON. */
static int show(const char *completion) {
  char *finish = json_text(completion, "/choices/0/finish_reason", "");
  char *refusal = json_text(completion, "/choices/0/message/refusal", "");
  char *content = json_text(completion, "/choices/0/message/content", "");
  int is_json = helio_json_get(content, HELIO_STRLEN, "", NULL) == HELIO_OK;
  if (*refusal) {
    fprintf(stderr, "json: the model refuses: %s\n", refusal);
  } else if (strcmp(finish, "length") == 0) {
    fprintf(stderr, "json: the answer was cut at max_tokens, and so was its JSON: %s\n", content);
    is_json = 0;
  } else if (!is_json) {
    fprintf(stderr, "json: this is no JSON: %s\n", content);
  } else {
    char *name = json_text(content, "/name", "?"), *country = json_text(content, "/country", "?");
    printf("%s\nname: %s, country: %s, population: %.0f\n", content, name, country,
           json_number(content, "/population", -1));
    free(name);
    free(country);
  }
  is_json = is_json && !*refusal;
  free(finish);
  free(refusal);
  free(content);
  return is_json;
}

int main(int argc, char **argv) {
  int with_schema = argc > 1 && strcmp(argv[1], "schema") == 0, is_json = 0;
  const char *prompt = environment("PROMPT", "Tell me of the largest city of Japan.");
  helio_client *client = client_from_environment("json");
  helio_chat *chat = NULL;
  helio_buffer *completion = NULL;
  helio_error *error = NULL;
  helio_status status;

  if (!client) return EXIT_FAILURE;
  helio_chat_create(&chat);
  /* JSON mode wants the word JSON among the messages, or the model may write blanks without end. */
  helio_chat_add(chat, "system", "Answer in JSON, with the members name, country and population.", HELIO_STRLEN);
  helio_chat_add(chat, "user", prompt, HELIO_STRLEN);
  status = ask(client, chat, with_schema ? our_schema : any_object, NULL, &completion, &error);
  if (status == HELIO_OK)
    is_json = show(helio_buffer_data(completion));
  else
    complain("json", status, error);

  helio_error_free(error);
  helio_buffer_free(completion);
  helio_chat_free(chat);
  helio_client_destroy(client, HELIO_WAIT_FOREVER);
  return is_json ? EXIT_SUCCESS : EXIT_FAILURE;
}
