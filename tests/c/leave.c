/* A program that ends without a word to the library, in the middle of requests of every way.
 *
 *   leave BASE_URL return|exit|callback      (the server never ends an answer)
 *
 * main returns; or calls exit; or a callback on a thread of the library does. The exit code is 0, and a handler of
 * atexit has run: nothing of the library may crash or block on the way out.
 */
#include <helio.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BODY "{\"model\":\"any\",\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":\"for ever\"}]}"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int begun;
static helio_client *client;

static void begin(void) {
  pthread_mutex_lock(&lock);
  begun++;
  pthread_cond_signal(&changed);
  pthread_mutex_unlock(&lock);
}

static int32_t on_event(const helio_event *event, void *user_data) {
  if (event->kind == HELIO_EVENT_CHUNK) begin();
  if (event->kind == HELIO_EVENT_CHUNK && user_data) {
    pthread_mutex_lock(&lock);
    while (begun < 2) pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
    exit(0);
  }
  return 0;
}

static void *complete(void *unused) {
  helio_request_options options;
  (void)unused;
  helio_request_options_init(&options, sizeof options);
  options.on_event = on_event;
  helio_complete(client, BODY, HELIO_STRLEN, &options, NULL, NULL);
  return NULL;
}

static void submit(helio_delivery delivery, void *user_data) {
  helio_request_options options;
  helio_request_options_init(&options, sizeof options);
  options.delivery = delivery;
  if (delivery != HELIO_DELIVERY_PULL) options.on_event = on_event;
  options.user_data = user_data;
  if (helio_submit(client, BODY, HELIO_STRLEN, &options, NULL, NULL) != HELIO_OK) {
    fputs("leave: submit\n", stderr);
    _Exit(1);
  }
}

static void say_goodbye(void) {
  puts("goodbye");
}

int main(int argc, char **argv) {
  int in_callback = argc > 2 && !strcmp(argv[2], "callback");
  helio_client_options options;
  pthread_t blocked;
  char config[512];

  if (argc < 3) {
    fputs("usage: leave BASE_URL return|exit|callback\n", stderr);
    return 2;
  }
  atexit(say_goodbye);
  snprintf(config, sizeof config, "{\"base_url\":\"%s\"}", argv[1]);
  helio_client_options_init(&options, sizeof options);
  options.config = config;
  if (helio_client_create(&options, &client, NULL) != HELIO_OK) return 1;
  if (pthread_create(&blocked, NULL, complete, NULL) != 0) return 1;
  submit(HELIO_DELIVERY_POLL, NULL);
  submit(HELIO_DELIVERY_PULL, NULL);
  submit(HELIO_DELIVERY_THREAD, in_callback ? &in_callback : NULL);
  if (in_callback) {
    for (;;) helio_poll(client, HELIO_WAIT_FOREVER, 0, NULL);
  }
  pthread_mutex_lock(&lock);
  while (begun < 2) pthread_cond_wait(&changed, &lock);
  pthread_mutex_unlock(&lock);
  while (helio_pending_events(client) < 4) helio_next_event(client, 0, NULL); /* refused: it only looks */
  if (!strcmp(argv[2], "exit")) exit(0);
  return 0;
}
