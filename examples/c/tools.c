/* Tools: the model asks for functions to be called, the program calls them, the model answers. Several calls may come
 * at once; each wants its result before the next request. See common.h for the environment.
 *
 *   PROMPT="What is 17 * 23, and what is 4711 + 815?" ./tools
 */
#include "feature.h"

/* What the model is told of our functions. */
#define TWO_NUMBERS                                                                             \
  "\"parameters\":{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"number\"},"             \
  "\"b\":{\"type\":\"number\"}},\"required\":[\"a\",\"b\"]}"
static const char tools[] =
    "\"tools\":["
    "{\"type\":\"function\",\"function\":{\"name\":\"add\",\"description\":\"a + b\"," TWO_NUMBERS "}},"
    "{\"type\":\"function\",\"function\":{\"name\":\"multiply\",\"description\":\"a * b\"," TWO_NUMBERS "}}"
    "],\"tool_choice\":\"auto\",\"parallel_tool_calls\":true";

/* A function's answer is any text. What the model gets wrong it is told, and may try again. */
static void call(const char *name, const char *arguments, char *result, size_t size) {
  helio_buffer *a = NULL, *b = NULL;
  if (helio_json_get(arguments, HELIO_STRLEN, "/a", &a) != HELIO_OK ||
      helio_json_get(arguments, HELIO_STRLEN, "/b", &b) != HELIO_OK) {
    snprintf(result, size, "error: the arguments must be JSON like {\"a\":1,\"b\":2}");
  } else {
    double x = strtod(helio_buffer_data(a), NULL), y = strtod(helio_buffer_data(b), NULL);
    if (strcmp(name, "add") == 0)
      snprintf(result, size, "%.15g", x + y);
    else if (strcmp(name, "multiply") == 0)
      snprintf(result, size, "%.15g", x * y);
    else
      snprintf(result, size, "error: there is no function %s", name);
  }
  helio_buffer_free(a);
  helio_buffer_free(b);
}

/* Calls all that the reply asks for, and adds the results. How many there were. */
static int answer_calls(helio_chat *chat, const char *completion) {
  int i;
  for (i = 0;; i++) {
    char pointer[64], result[128];
    helio_buffer *one = NULL;
    snprintf(pointer, sizeof pointer, "/choices/0/message/tool_calls/%d", i);
    if (helio_json_get(completion, HELIO_STRLEN, pointer, &one) != HELIO_OK) return i;
    {
      char *id = json_text(helio_buffer_data(one), "/id", "");
      char *name = json_text(helio_buffer_data(one), "/function/name", "");
      char *arguments = json_text(helio_buffer_data(one), "/function/arguments", "");
      call(name, arguments, result, sizeof result);
      printf("%s(%s) = %s\n", name, arguments, result);
      helio_chat_add_tool_result(chat, id, result, HELIO_STRLEN);
      free(id);
      free(name);
      free(arguments);
    }
    helio_buffer_free(one);
  }
}

int main(void) {
  const char *prompt = environment("PROMPT", "What is 17 * 23, and what is 4711 + 815?");
  helio_client *client = client_from_environment("tools");
  helio_chat *chat = NULL;
  helio_status status;
  int rounds = 0, calls;

  if (!client) return EXIT_FAILURE;
  helio_chat_create(&chat);
  helio_chat_add(chat, "user", prompt, HELIO_STRLEN);
  do {
    helio_buffer *completion = NULL;
    helio_error *error = NULL;
    calls = 0;
    status = ask(client, chat, tools, NULL, &completion, &error);
    if (status == HELIO_OK) {
      const char *reply = helio_buffer_data(completion);
      char *content = json_text(reply, "/choices/0/message/content", "");
      status = helio_chat_add_reply(chat, reply); /* before its results */
      calls = answer_calls(chat, reply);          /* finish_reason is not always "tool_calls": look for calls */
      if (*content) printf("%s\n", content);
      free(content);
    }
    if (status != HELIO_OK) complain("tools", status, error ? error : helio_chat_error(chat));
    helio_error_free(error);
    helio_buffer_free(completion);
  } while (status == HELIO_OK && calls > 0 && ++rounds < 8);
  if (calls > 0) fputs("tools: the model asks for ever more calls, that is enough\n", stderr);

  helio_chat_free(chat);
  helio_client_destroy(client, HELIO_WAIT_FOREVER);
  return status == HELIO_OK && calls == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
