/* Many threads share one client, then it is shut down under them.
 *
 *   threads BASE_URL [THREADS [CALLS]]      (8 threads, 400 calls altogether unless given)
 *
 * Each call says something else and must hear just that again, with exactly one DONE as its last event; every
 * fifth one cancels itself from its callback. When enough calls are done, the client is shut down: each
 * thread must see HELIO_ERR_SHUT_DOWN and leave, and destroy must find nothing left to wait for.
 */
#include <helio.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static helio_client *client;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t enough = PTHREAD_COND_INITIALIZER;
static unsigned long wanted, finished, cancelled;

typedef struct call {
  char expected[64];
  pthread_t caller;
  int cancels, dones, after_done, elsewhere, heard;
} call;

static int32_t on_event(const helio_event *event, void *user_data) {
  call *c = user_data;
  if (!pthread_equal(c->caller, pthread_self())) c->elsewhere++;
  if (c->dones) c->after_done++;
  if (event->kind == HELIO_EVENT_DONE) {
    c->dones++;
    c->heard = event->text && event->text_len == strlen(c->expected) && !strcmp(event->text, c->expected);
  }
  return c->cancels && event->kind == HELIO_EVENT_CHUNK;
}

static void wrong(const char *what, const call *c, helio_status status, const helio_error *error) {
  const char *message = helio_error_message(error, NULL);
  fprintf(stderr, "threads: %s: \"%s\", %s, %s\n", what, c->expected, helio_status_name(status),
          message ? message : "no error");
  exit(1);
}

static void *worker(void *number) {
  unsigned long i;
  for (i = 0;; i++) {
    char body[256];
    helio_request_options options;
    helio_error *error = NULL;
    helio_status status;
    call c = {0};

    c.caller = pthread_self();
    c.cancels = i % 5 == 4;
    snprintf(c.expected, sizeof c.expected, "You said: thread %d, call %lu", *(int *)number, i);
    snprintf(body, sizeof body, "{\"model\":\"any\",\"stream\":%s,\"messages\":[{\"role\":\"user\",\"content\":\"%s\"}]}",
             c.cancels || i % 2 ? "true" : "false", c.expected + strlen("You said: "));
    helio_request_options_init(&options, sizeof options);
    options.on_event = on_event;
    options.user_data = &c;
    status = helio_complete(client, body, HELIO_STRLEN, &options, NULL, &error);

    if (c.elsewhere || c.after_done || c.dones > 1) wrong("events out of order", &c, status, error);
    if (status == HELIO_ERR_SHUT_DOWN) {
      helio_error_free(error);
      return NULL;
    }
    if (c.dones != 1) wrong("no DONE", &c, status, error);
    if (status != (c.cancels ? HELIO_ERR_CANCELLED : HELIO_OK)) wrong("wrong status", &c, status, error);
    if (!c.cancels && !c.heard) wrong("the answer of another call", &c, status, error);
    helio_error_free(error);

    pthread_mutex_lock(&lock);
    finished++;
    cancelled += c.cancels;
    if (finished == wanted) pthread_cond_signal(&enough);
    pthread_mutex_unlock(&lock);
  }
}

int main(int argc, char **argv) {
  int count = argc > 2 ? atoi(argv[2]) : 8, numbers[64], i;
  pthread_t threads[64];
  helio_client_options options;
  helio_status status;
  char config[512];

  wanted = argc > 3 ? strtoul(argv[3], NULL, 10) : 400;
  if (argc < 2 || count < 1 || count > 64) {
    fputs("usage: threads BASE_URL [THREADS [CALLS]], 1 to 64 threads\n", stderr);
    return 2;
  }
  snprintf(config, sizeof config, "{\"base_url\":\"%s\"}", argv[1]);
  helio_client_options_init(&options, sizeof options);
  options.config = config;
  if (helio_client_create(&options, &client, NULL) != HELIO_OK) {
    fputs("threads: no client\n", stderr);
    return 1;
  }
  for (i = 0; i < count; i++) {
    numbers[i] = i;
    if (pthread_create(&threads[i], NULL, worker, &numbers[i]) != 0) abort();
  }
  pthread_mutex_lock(&lock);
  while (finished < wanted) pthread_cond_wait(&enough, &lock);
  pthread_mutex_unlock(&lock);

  helio_client_shutdown(client);
  for (i = 0; i < count; i++) pthread_join(threads[i], NULL);
  status = helio_client_destroy(client, 10000);
  printf("%lu calls on %d threads, %lu cancelled, destroy: %s\n", finished, count, cancelled, helio_status_name(status));
  return status != HELIO_OK;
}
