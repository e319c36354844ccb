/* A loop that sleeps until it is told, as the loops of GUI programs do. See common.h for the environment.
 *
 *   REQUESTS=10 PROMPT="Name a river." ./notify
 *
 * helio calls notify_fn when something is pending, on any thread. All that notify_fn does is to post to the
 * loop; the loop's own thread then calls helio_poll. Here the post is a flag and a condition variable, for
 *
 *   Windows  PostMessage(window, WM_APP, 0, 0);
 *   macOS    dispatch_async_f(dispatch_get_main_queue(), client, receive);
 *   GLib     g_idle_add(receive, client);
 *   Qt       QMetaObject::invokeMethod(object, "receive", Qt::QueuedConnection);
 *
 * all of which return at once. (What runs `receive` in place does not do: notify_fn calls nothing of helio.)
 * One helio_poll for each post is enough. The loop below has no time-out that would hide a lost one.
 */
#include "common.h"
#include <pthread.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t told = PTHREAD_COND_INITIALIZER;
static int posted;
static long notifications;

/* The callbacks run inside helio_poll, on the loop's own thread: no lock is needed. */
static long running, ended_well;

static void post(void *user_data) {
  (void)user_data;
  pthread_mutex_lock(&lock);
  posted = 1;
  notifications++;
  pthread_cond_signal(&told);
  pthread_mutex_unlock(&lock);
}

static void wait_for_post(void) {
  pthread_mutex_lock(&lock);
  while (!posted) pthread_cond_wait(&told, &lock);
  posted = 0;
  pthread_mutex_unlock(&lock); /* helio_poll may call `post` on this thread: never hold its lock there */
}

static int32_t on_event(const helio_event *event, void *user_data) {
  if (event->kind != HELIO_EVENT_DONE) return 0;
  running--;
  if (event->status == HELIO_OK) {
    ended_well++;
    printf("[%ld] %s\n", (long)(intptr_t)user_data, event->text ? event->text : event->data);
    fflush(stdout);
  } else {
    complain("notify", event->status, event->error);
  }
  return 0;
}

static int submit(helio_client *client, long number) {
  text body = question_body(environment("PROMPT", "Why is the sky blue?"), 1);
  helio_request_options options;
  helio_error *error = NULL;
  helio_status status;

  helio_request_options_init(&options, sizeof options);
  options.delivery = HELIO_DELIVERY_POLL;
  options.on_event = on_event;
  options.user_data = (void *)(intptr_t)number;
  status = helio_submit(client, body.data, body.len, &options, NULL, &error);
  if (status == HELIO_OK) running++;
  else complain("notify", status, error); /* no event of it ever comes */
  helio_error_free(error);
  free(body.data);
  return status == HELIO_OK;
}

int main(void) {
  long requests = strtol(environment("REQUESTS", "10"), NULL, 10), events = 0, receives = 0, i;
  helio_client *client = notified_client_from_environment("notify", post);
  helio_status status = HELIO_OK;

  if (!client) return EXIT_FAILURE;
  for (i = 1; i <= requests && submit(client, i); i++) continue;

  while (running > 0 && status == HELIO_OK) {
    uint32_t delivered;
    wait_for_post();
    status = helio_poll(client, 0, 0, &delivered); /* wait 0 ms, deliver all that is pending */
    events += delivered;
    receives++;
  }
  if (status != HELIO_OK) complain("notify", status, NULL);
  helio_client_destroy(client, HELIO_WAIT_FOREVER); /* from here on, no notification comes */

  printf("%ld of %ld requests ended well\n", ended_well, requests);
  printf("%ld events in %ld receives after %ld notifications\n", events, receives, notifications);
  return ended_well == requests ? EXIT_SUCCESS : EXIT_FAILURE;
}
