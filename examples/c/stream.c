/* Prints an answer while it is written; Ctrl-C cancels it. See common.h for the environment it reads.
 *
 *   PROMPT="Tell me a story." ./stream
 *
 * No function of helio may be called from a signal handler. So SIGINT is blocked everywhere, and one
 * thread waits for it: there, it is an ordinary event and helio_cancel an ordinary call.
 */
#include "common.h"
#include <pthread.h>
#include <signal.h>

static sigset_t interrupt;
static helio_client *client;
static helio_request_id request;

static void *cancel_on_interrupt(void *unused) {
  int signal_number;
  (void)unused;
  sigwait(&interrupt, &signal_number);
  helio_cancel(client, request); /* before, during or after the request: always allowed */
  return NULL;
}

static int32_t print_token(const helio_event *event, void *user_data) {
  (void)user_data;
  if (event->kind == HELIO_EVENT_CHUNK && event->text) {
    fwrite(event->text, 1, event->text_len, stdout);
    fflush(stdout);
  }
  return ferror(stdout); /* the output is full: non-zero cancels, and the server stops writing */
}

int main(void) {
  const char *prompt = environment("PROMPT", "Why is the sky blue?");
  helio_request_options options;
  helio_error *error = NULL;
  helio_status status;
  text message = {0}, body;
  pthread_t watcher;

  sigemptyset(&interrupt);
  sigaddset(&interrupt, SIGINT);
  pthread_sigmask(SIG_BLOCK, &interrupt, NULL); /* before any thread is made: they inherit it */

  client = client_from_environment("stream");
  if (!client) return EXIT_FAILURE;
  request = helio_reserve(client); /* an id before the request exists, so that it can be cancelled */
  if (pthread_create(&watcher, NULL, cancel_on_interrupt, NULL) != 0) {
    fputs("stream: no thread to wait for Ctrl-C\n", stderr);
    helio_client_destroy(client, HELIO_WAIT_FOREVER);
    return EXIT_FAILURE;
  }

  text_add_message(&message, "user", prompt, strlen(prompt));
  body = request_body(message.data, 1);
  helio_request_options_init(&options, sizeof options);
  options.id = request;
  options.on_event = print_token;
  status = helio_complete(client, body.data, body.len, &options, NULL, &error);
  putchar('\n');
  if (status != HELIO_OK) complain("stream", status, error);

  pthread_kill(watcher, SIGINT); /* the request is over: a cancel does nothing now, the thread ends */
  pthread_join(watcher, NULL);
  helio_error_free(error);
  free(message.data);
  free(body.data);
  helio_client_destroy(client, HELIO_WAIT_FOREVER);
  return status == HELIO_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
