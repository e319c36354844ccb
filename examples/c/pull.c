/* Several answers at once without a callback: the program takes one event after the other when it likes.
 * Made for languages that cannot be called back easily. See common.h for the environment it reads.
 *
 *   ./pull "Name a river." "Name a mountain."
 *
 * Each event says whose it is. One that is taken belongs to the program until it gives it back, even when
 * the client is gone: here each DONE is kept, and the answers are printed in the order of the questions.
 */
#include "common.h"

typedef struct asked {
  const char *question;
  int number;
  const helio_event *done; /* ours until we release it */
} asked;

static int submit(helio_client *client, asked *a) {
  text body = question_body(a->question, 1);
  helio_request_options options;
  helio_error *error = NULL;
  helio_status status;

  helio_request_options_init(&options, sizeof options);
  options.delivery = HELIO_DELIVERY_PULL; /* and no on_event */
  options.user_data = a;                  /* each event brings it back */
  status = helio_submit(client, body.data, body.len, &options, NULL, &error);
  if (status != HELIO_OK) complain("pull", status, error);
  helio_error_free(error);
  free(body.data);
  return status == HELIO_OK;
}

int main(int argc, char **argv) {
  helio_client *client = client_from_environment("pull");
  asked *all = calloc((size_t)argc + 2, sizeof *all); /* the arguments, or three */
  int count = 0, running = 0, exit_code = EXIT_SUCCESS, i;
  helio_status status = HELIO_OK;
  const helio_event *event;
  const char *next;

  if (!client || !all) {
    free(all);
    helio_client_destroy(client, HELIO_WAIT_FOREVER);
    return EXIT_FAILURE;
  }
  while ((next = question(argc, argv, count)) != NULL) {
    all[count].question = next;
    all[count].number = count + 1;
    running += submit(client, &all[count]);
    count++;
  }

  while (running > 0 && status == HELIO_OK) {
    status = helio_next_event(client, HELIO_WAIT_FOREVER, &event);
    if (!event) continue; /* a failure, or helio_wakeup, which nobody calls here */
    asked *whose = event->user_data;
    if (event->kind == HELIO_EVENT_CHUNK && event->text) {
      printf("%d ", whose->number); /* for each token the number of its question */
      fflush(stdout);
    }
    if (event->kind == HELIO_EVENT_DONE) {
      whose->done = event;
      running--;
    } else {
      helio_event_release(event);
    }
  }
  if (status != HELIO_OK) complain("pull", status, NULL);
  helio_client_destroy(client, HELIO_WAIT_FOREVER);

  putchar('\n');
  for (i = 0; i < count; i++) {
    const helio_event *done = all[i].done;
    printf("\n[%d] %s\n", i + 1, all[i].question);
    if (done && done->text) printf("%s\n", done->text);
    if (done && done->status != HELIO_OK) complain("pull", done->status, done->error);
    if (!done || done->status != HELIO_OK) exit_code = EXIT_FAILURE;
    helio_event_release(done);
  }
  free(all);
  return exit_code;
}
