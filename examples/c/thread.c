/* Answers on threads of the library, one for each request: tokens come with the least delay, and what they
 * touch needs a lock. The first answer is stopped after STOP_AFTER tokens (20 unless set). See common.h for
 * the rest of the environment.
 *
 *   STOP_AFTER=5 ./thread "Count to a hundred." "Name a river."
 */
#include "common.h"
#include <pthread.h>

typedef struct asked {
  const char *question;
  helio_request_id id;
  int number;
  long tokens;
} asked;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* for all below, and for standard output */
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int running, stopped, exit_code = EXIT_SUCCESS;

/* Runs on a thread of the library; those of other requests run at the same time. */
static int32_t on_event(const helio_event *event, void *user_data) {
  asked *a = user_data;
  pthread_mutex_lock(&lock);
  if (event->kind == HELIO_EVENT_CHUNK && event->text) {
    a->tokens++;
    pthread_cond_signal(&changed);
  } else if (event->kind == HELIO_EVENT_DONE) {
    printf("[%d] %s\n%s\n", a->number, a->question, event->text ? event->text : "");
    if (event->status == HELIO_ERR_CANCELLED) {
      puts("(stopped here)");
    } else if (event->status != HELIO_OK) {
      complain("thread", event->status, event->error);
      exit_code = EXIT_FAILURE;
    }
    putchar('\n');
    running--;
    pthread_cond_signal(&changed); /* from here on, nobody looks at user_data any more */
  }
  pthread_mutex_unlock(&lock);
  return 0;
}

static void submit(helio_client *client, asked *a) {
  text body = question_body(a->question, 1);
  helio_request_options options;
  helio_error *error = NULL;
  helio_status status;

  helio_request_options_init(&options, sizeof options);
  options.delivery = HELIO_DELIVERY_THREAD;
  options.on_event = on_event;
  options.user_data = a;
  pthread_mutex_lock(&lock);
  status = helio_submit(client, body.data, body.len, &options, &a->id, &error);
  if (status == HELIO_OK) {
    running++;
  } else {
    complain("thread", status, error);
    exit_code = EXIT_FAILURE;
  }
  pthread_mutex_unlock(&lock);
  helio_error_free(error);
  free(body.data);
}

int main(int argc, char **argv) {
  helio_client *client = client_from_environment("thread");
  long stop_after = strtol(environment("STOP_AFTER", "20"), NULL, 10);
  asked *all = calloc((size_t)argc + 2, sizeof *all); /* the arguments, or three */
  const char *next;
  int i;

  if (!client || !all) {
    free(all);
    helio_client_destroy(client, HELIO_WAIT_FOREVER);
    return EXIT_FAILURE;
  }
  for (i = 0; (next = question(argc, argv, i)) != NULL; i++) {
    all[i].question = next;
    all[i].number = i + 1;
    submit(client, &all[i]);
  }

  pthread_mutex_lock(&lock);
  while (running > 0) {
    if (!stopped && all[0].tokens >= stop_after) {
      stopped = 1;
      helio_cancel(client, all[0].id); /* never waits, so the lock may be held; its DONE comes all the same */
    }
    pthread_cond_wait(&changed, &lock);
  }
  pthread_mutex_unlock(&lock);

  helio_client_destroy(client, HELIO_WAIT_FOREVER); /* from here on, no thread of the library is left */
  free(all);
  return exit_code;
}
