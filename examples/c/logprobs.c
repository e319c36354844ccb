/* How sure the model is: each token of the answer with its probability, and what it would have said instead. See
 * common.h for the environment.
 *
 *   PROMPT="Is the sky blue? Answer yes or no." ./logprobs
 */
#include "feature.h"

#include <math.h>

/* "yes" 93.1 % */
static void show_token(const char *list, int i, const char *before) {
  char pointer[64], *token;
  double logprob;
  snprintf(pointer, sizeof pointer, "/%d/token", i);
  token = json_text(list, pointer, "");
  snprintf(pointer, sizeof pointer, "/%d/logprob", i);
  logprob = json_number(list, pointer, -1e9);
  printf("%s\"%s\" %.1f %%", before, token, 100 * exp(logprob));
  free(token);
}

static int show(const char *completion) {
  char *content = json_text(completion, "/choices/0/logprobs/content", "[]"), pointer[64];
  int i, j;
  for (i = 0;; i++) {
    char *alternatives;
    snprintf(pointer, sizeof pointer, "/%d", i);
    if (helio_json_get(content, HELIO_STRLEN, pointer, NULL) != HELIO_OK) break;
    show_token(content, i, "");
    snprintf(pointer, sizeof pointer, "/%d/top_logprobs", i);
    alternatives = json_text(content, pointer, "[]");
    for (j = 0; snprintf(pointer, sizeof pointer, "/%d", j),
        helio_json_get(alternatives, HELIO_STRLEN, pointer, NULL) == HELIO_OK; j++)
      show_token(alternatives, j, j ? ", " : "   of ");
    putchar('\n');
    free(alternatives);
  }
  free(content);
  return i;
}

int main(void) {
  const char *prompt = environment("PROMPT", "Is the sky blue? Answer yes or no.");
  helio_client *client = client_from_environment("logprobs");
  helio_chat *chat = NULL;
  helio_buffer *completion = NULL;
  helio_error *error = NULL;
  helio_status status;

  if (!client) return EXIT_FAILURE;
  helio_chat_create(&chat);
  helio_chat_add(chat, "user", prompt, HELIO_STRLEN);
  /* top_logprobs, 0 to 20, is nothing without logprobs. */
  status = ask(client, chat, "\"logprobs\":true,\"top_logprobs\":3,\"temperature\":0", NULL, &completion, &error);
  if (status != HELIO_OK)
    complain("logprobs", status, error);
  else if (show(helio_buffer_data(completion)) == 0)
    fputs("logprobs: the answer has none; Anthropic's and Gemini's models never have\n", stderr);

  helio_error_free(error);
  helio_buffer_free(completion);
  helio_chat_free(chat);
  helio_client_destroy(client, HELIO_WAIT_FOREVER);
  return status == HELIO_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
