/* A loop of 60 frames in a second, like a game's, with 100 streaming requests at once. Each frame calls
 * helio_poll, which runs the callbacks of what has come and waits for nothing. At the end it prints what
 * that took out of a frame. See common.h for the environment it reads.
 *
 *   REQUESTS=100 PROMPT="Greet the player." ./poll
 */
#include "common.h"
#include <errno.h>
#include <time.h>

#define FRAMES_PER_SECOND 60
#define SECOND 1000000000L /* in nanoseconds */

/* The callbacks run inside helio_poll, on the loop's own thread: no lock is needed. */
static long running, ended_well, chunks, tokens;

static int32_t on_event(const helio_event *event, void *user_data) {
  (void)user_data; /* a game would find its character here */
  if (event->kind == HELIO_EVENT_CHUNK) {
    chunks++;
    if (event->text) tokens++; /* the first and the last chunks often have no text */
  } else if (event->kind == HELIO_EVENT_DONE) {
    running--;
    if (event->status == HELIO_OK) ended_well++;
    else complain("poll", event->status, event->error);
  }
  return 0;
}

/* Never waits and calls nothing back, so it may stand in a frame, too. */
static int submit(helio_client *client) {
  text body = question_body(environment("PROMPT", "Why is the sky blue?"), 1);
  helio_request_options options;
  helio_error *error = NULL;
  helio_status status;

  helio_request_options_init(&options, sizeof options); /* delivery: HELIO_DELIVERY_POLL is the default */
  options.on_event = on_event;
  status = helio_submit(client, body.data, body.len, &options, NULL, &error);
  if (status == HELIO_OK) running++;
  else complain("poll", status, error); /* refused: no event of it ever comes */
  helio_error_free(error);
  free(body.data);
  return status == HELIO_OK;
}

static struct timespec now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time;
}

static double ms_between(struct timespec from, struct timespec to) {
  return (double)(to.tv_sec - from.tv_sec) * 1e3 + (double)(to.tv_nsec - from.tv_nsec) / 1e6;
}

static void worst(double *so_far, double ms) {
  if (ms > *so_far) *so_far = ms;
}

int main(void) {
  helio_client *client = client_from_environment("poll");
  long requests = strtol(environment("REQUESTS", "100"), NULL, 10), frames = 0, late = 0, callbacks = 0, i;
  double worst_poll = 0, worst_frame = 0;
  helio_status status = HELIO_OK;
  struct timespec next;

  if (!client) return EXIT_FAILURE;
  for (i = 0; i < requests && submit(client); i++) continue;

  next = now();
  while (running > 0 && status == HELIO_OK) {
    struct timespec begin = now(), polled, end;
    uint32_t delivered;

    status = helio_poll(client, 0, 0, &delivered); /* wait 0 ms, deliver all that is pending */
    polled = now();

    callbacks += delivered; /* here the game moves and draws */
    if (++frames % FRAMES_PER_SECOND == 0)
      fprintf(stderr, "%ld s, %ld running, %ld tokens\n", frames / FRAMES_PER_SECOND, running, tokens);
    end = now();

    worst(&worst_poll, ms_between(begin, polled));
    worst(&worst_frame, ms_between(begin, end));
    next.tv_nsec += SECOND / FRAMES_PER_SECOND;
    if (next.tv_nsec >= SECOND) next.tv_sec++, next.tv_nsec -= SECOND;
    if (ms_between(end, next) < 0) late++; /* none is skipped: the loop does not sleep until it has caught up */
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL) == EINTR) continue;
  }
  if (status != HELIO_OK) complain("poll", status, NULL);

  printf("%ld of %ld requests ended well\n", ended_well, requests);
  printf("%ld tokens in %ld chunks, %ld callbacks\n", tokens, chunks, callbacks);
  printf("%ld frames, %ld of them late\n", frames, late);
  printf("worst helio_poll: %.3f ms\n", worst_poll);
  printf("worst frame: %.3f ms of %.3f\n", worst_frame, 1e3 / FRAMES_PER_SECOND);
  helio_client_destroy(client, HELIO_WAIT_FOREVER);
  return ended_well == requests ? EXIT_SUCCESS : EXIT_FAILURE;
}
