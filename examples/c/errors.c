/* What went wrong, and what to do about it. The library has tried again by itself where that can help, with a back-off
 * that doubles and varies, and has obeyed the server's Retry-After; what comes here is for the program to decide. This
 * one waits once more where waiting may help. See common.h for the environment.
 */
#include "feature.h"

#include <time.h>

/* What each kind of failure wants. Statuses are an open set: there is always one that this program does not know. */
static const char *advice(helio_status status) {
  switch (status) {
    case HELIO_ERR_AUTHENTICATION: return "check the API key";
    case HELIO_ERR_PERMISSION: return "this key may not use this model";
    case HELIO_ERR_NOT_FOUND: return "check the model's name and the URL";
    case HELIO_ERR_BAD_REQUEST:
    case HELIO_ERR_INVALID_ARGUMENT:
    case HELIO_ERR_INVALID_JSON: return "the request is wrong: another try ends the same way";
    case HELIO_ERR_CONTEXT_LENGTH: return "the conversation is too long: remove its oldest messages";
    case HELIO_ERR_CONTENT_FILTERED: return "a content filter has refused it: ask differently";
    case HELIO_ERR_QUOTA_EXCEEDED: return "the credits are used up: waiting does not help, paying does";
    case HELIO_ERR_RATE_LIMITED:
    case HELIO_ERR_OVERLOADED:
    case HELIO_ERR_SERVER: return "wait, then try again";
    case HELIO_ERR_DNS:
    case HELIO_ERR_CONNECT:
    case HELIO_ERR_NETWORK: return "check the network, then try again";
    case HELIO_ERR_TLS: return "check the clock, the certificates, and who is in between";
    case HELIO_ERR_PROXY: return "check the proxy";
    case HELIO_ERR_TIMEOUT: return "raise the deadline if the model is only slow";
    case HELIO_ERR_TRUNCATED: return "the answer is not whole: show it as such, or ask again";
    default: return "report it";
  }
}

static void explain(helio_status status, const helio_error *error) {
  const char *code = helio_error_code(error, NULL), *report = helio_error_report(error, NULL);
  int tries = 0;
  char pointer[32];
  complain("errors", status, error);
  while (snprintf(pointer, sizeof pointer, "/attempts/%d", tries),
         report && helio_json_get(report, HELIO_STRLEN, pointer, NULL) == HELIO_OK)
    tries++;
  fprintf(stderr, "HTTP %d, code %s, tried %d time(s): %s\n", (int)helio_error_http_status(error), code ? code : "none",
          tries, advice(status));
}

static void wait_for(int64_t ms) {
  struct timespec rest;
  rest.tv_sec = (time_t)(ms / 1000);
  rest.tv_nsec = (long)(ms % 1000) * 1000000;
  nanosleep(&rest, NULL);
}

int main(void) {
  const char *prompt = environment("PROMPT", "Why is the sky blue?");
  helio_client *client = client_with("errors", "\"retry\":{\"max_retries\":2,\"base_ms\":100,\"max_ms\":2000}", NULL);
  helio_chat *chat = NULL;
  helio_status status = HELIO_OK;
  int round, again = 1;

  if (!client) return EXIT_FAILURE;
  helio_chat_create(&chat);
  helio_chat_add(chat, "user", prompt, HELIO_STRLEN);
  for (round = 0; again && round < 2; round++) {
    helio_buffer *completion = NULL;
    helio_error *error = NULL;
    char *content;
    status = ask(client, chat, "", NULL, &completion, &error);
    /* What had come of an answer that broke off is here, too. */
    content = json_text(completion ? helio_buffer_data(completion) : "{}", "/choices/0/message/content", "");
    if (*content) printf("%s%s\n", content, status == HELIO_OK ? "" : " [not complete]");
    if (status != HELIO_OK) {
      int64_t wait_ms = helio_error_retry_after_ms(error); /* -1: another try makes no sense */
      explain(status, error);
      again = wait_ms >= 0 && wait_ms <= 60000 && round == 0;
      if (again) {
        fprintf(stderr, "Once more in %.1f s.\n", (double)wait_ms / 1000);
        wait_for(wait_ms);
      }
    }
    again = again && status != HELIO_OK;
    free(content);
    helio_error_free(error);
    helio_buffer_free(completion);
  }

  helio_chat_free(chat);
  helio_client_destroy(client, HELIO_WAIT_FOREVER);
  return status == HELIO_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
