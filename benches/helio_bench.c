/* helio in one of its deliveries: HELIO_DELIVERY=complete (the default: helio_complete on this thread), thread, poll or
 * pull. With a stream every event is delivered, its text looked at, and the whole chat.completion assembled and
 * handed out at the end; all of that is measured. */
#include "paced.h"

#include "helio.h"

#include <semaphore.h>

struct host {
  helio_client *client;
  const struct bench_args *args;
  const char *delivery;
  helio_request_options options;
  long chunks;
  size_t text_len, done_text_len, answer_len;
  helio_status status;
  int dones;
  sem_t done;
};

static void take(struct host *h, const helio_event *event) {
  if (event->kind == HELIO_EVENT_CHUNK) {
    h->chunks++;
    h->text_len += event->text_len;
  } else if (event->kind == HELIO_EVENT_DONE) {
    h->status = event->status;
    h->answer_len = event->len;
    h->done_text_len = event->text_len;
    h->dones++;
  }
}

static int32_t on_event(const helio_event *event, void *user_data) {
  struct host *h = user_data;
  take(h, event);
  if (event->kind == HELIO_EVENT_DONE && strcmp(h->delivery, "thread") == 0) sem_post(&h->done);
  return 0;
}

static int no_error(helio_error *error, helio_status status, const char *what) {
  if (status == HELIO_OK) return 1;
  fprintf(stderr, "helio: %s: %s (%s)\n", what, helio_status_name(status),
          error != NULL ? helio_error_message(error, NULL) : "no error");
  helio_error_free(error);
  return 0;
}

/* The call that waits for the answer of this thread's request. */
static int wait_for_done(struct host *h) {
  helio_error *error = NULL;
  helio_request_id id;
  if (!no_error(error, helio_submit(h->client, h->args->body, h->args->body_len, &h->options, &id, &error), "submit"))
    return 0;
  if (strcmp(h->delivery, "thread") == 0) return sem_wait(&h->done) == 0;
  while (h->dones == 0) {
    if (strcmp(h->delivery, "poll") == 0) {
      helio_poll(h->client, 1000, 0, NULL);
    } else {
      const helio_event *event = NULL;
      helio_next_event(h->client, 1000, &event);
      if (event != NULL) take(h, event);
      helio_event_release(event);
    }
  }
  return 1;
}

static int once(void *context) {
  struct host *h = context;
  const struct bench_args *a = h->args;
  h->chunks = 0;
  h->text_len = h->done_text_len = h->answer_len = 0;
  h->dones = 0;
  int ok;
  if (strcmp(h->delivery, "complete") == 0) {
    helio_buffer *answer = NULL;
    helio_error *error = NULL;
    h->status = helio_complete(h->client, a->body, a->body_len, a->stream ? &h->options : NULL, &answer, &error);
    h->answer_len = helio_buffer_size(answer);
    ok = no_error(error, h->status, "helio_complete");
    helio_buffer_free(answer);
  } else {
    ok = wait_for_done(h);
  }
  ok = ok && h->status == HELIO_OK && h->answer_len > 0;
  if (ok && a->stream)
    ok = h->chunks == a->chunks + BENCH_EXTRA_CHUNKS && h->dones == 1 && h->text_len > 0 &&
         h->text_len == h->done_text_len && h->answer_len > h->text_len;
  if (!ok)
    fprintf(stderr, "helio: %s, %zu bytes, %ld chunks, %zu and %zu bytes of text\n", helio_status_name(h->status),
            h->answer_len, h->chunks, h->text_len, h->done_text_len);
  return !ok;
}

/* ---- many streams --------------------------------------------------------------------------------------------- */

static void paced_take(const helio_event *event) {
  if (event->kind == HELIO_EVENT_RESPONSE) {
    atomic_fetch_add(&paced.opened, 1);
  } else if (event->kind == HELIO_EVENT_CHUNK) {
    paced_chunk(event->text, event->text_len);
  } else if (event->status == HELIO_OK) {
    atomic_fetch_add(&paced.done, 1);
  } else {
    fprintf(stderr, "helio: %s\n", helio_error_message(event->error, NULL));
    exit(1);
  }
}

static int32_t on_paced_event(const helio_event *event, void *user_data) {
  (void)user_data;
  paced_take(event);
  return 0;
}

static void paced_submit(struct host *h) {
  helio_error *error = NULL;
  helio_request_id id;
  helio_status status = helio_submit(h->client, paced_body(), HELIO_STRLEN, &h->options, &id, &error);
  if (!no_error(error, status, "submit")) exit(1);
}

static void *paced_complete(void *context) {
  struct host *h = context;
  helio_error *error = NULL;
  helio_buffer *answer = NULL;
  helio_status status = helio_complete(h->client, paced_body(), HELIO_STRLEN, &h->options, &answer, &error);
  if (!no_error(error, status, "helio_complete"))
    exit(1);
  helio_buffer_free(answer);
  return NULL;
}

static void paced_wait(struct host *h, int timeout_ms) {
  if (strcmp(h->delivery, "poll") == 0) {
    helio_poll(h->client, timeout_ms, 0, NULL);
  } else if (strcmp(h->delivery, "pull") == 0) {
    const helio_event *event = NULL;
    helio_next_event(h->client, timeout_ms, &event);
    if (event != NULL) paced_take(event);
    helio_event_release(event);
  } else if (timeout_ms > 0) {
    struct timespec pause = {.tv_nsec = 20 * 1000000};
    nanosleep(&pause, NULL); /* threads of the library, or our own, do the work */
  }
}

static int run_paced(struct host *h, const char *name) {
  static pthread_t threads[4096];
  int complete = strcmp(h->delivery, "complete") == 0;
  if (complete && h->args->count > 4096) return 2;
  paced_start(name, h->args);
  h->options.on_event = strcmp(h->delivery, "pull") == 0 ? NULL : on_paced_event;
  if (complete)
    paced_complete(h);
  else
    for (paced_submit(h); paced.done == 0;) paced_wait(h, 100);
  paced_begin();
  pthread_attr_t small;
  pthread_attr_init(&small);
  pthread_attr_setstacksize(&small, 256 * 1024);
  for (long i = 0; i < h->args->count; i++) {
    if (!complete) {
      paced_submit(h);
      paced_wait(h, 0);
    } else if (pthread_create(&threads[i], &small, paced_complete, h) != 0) {
      perror("pthread_create");
      return 1;
    }
  }
  while (!paced_over()) paced_wait(h, 100);
  for (long i = 0; complete && i < h->args->count; i++) pthread_join(threads[i], NULL);
  return paced_report(h->args->ca != NULL, 1);
}

/* ---- the client ------------------------------------------------------------------------------------------------ */

static void config_for(const struct bench_args *a, const char *delivery, char *out, size_t size) {
  char base_url[64], tls[512] = "", threads[64] = "";
  bench_url(a, "/v1", base_url, sizeof base_url);
  if (a->ca != NULL) snprintf(tls, sizeof tls, ",\"tls\":{\"ca_file\":\"%s\"}", a->ca);
  /* A stream in THREAD holds a thread; the others hand theirs back once their head is there. */
  if (strcmp(delivery, "thread") == 0)
    snprintf(threads, sizeof threads, ",\"max_threads\":%ld", a->paced ? a->count + 1 : 64);
  else if (a->chunks > 0)
    snprintf(threads, sizeof threads, ",\"max_threads\":24");
  snprintf(out, size,
           "{\"base_url\":\"%s\",\"api_key\":\"" BENCH_KEY "\",\"retry\":{\"max_retries\":0}%s,\"limits\":{"
           "\"max_in_flight\":%ld,\"max_queued\":%ld%s}}",
           base_url, tls, a->paced ? a->count + 1 : 64, a->paced ? a->count + 1 : 64,
           threads);
}

int main(int argc, char **argv) {
  struct bench_args args;
  bench_parse(&args, argc, argv, helio_version_string());
  pin_to_allowed_cpu(1);
  const char *wanted = getenv("HELIO_DELIVERY");
  struct host h = {.args = &args, .delivery = wanted != NULL ? wanted : "complete"};
  char config[1024], name[32];
  snprintf(name, sizeof name, "helio_%s", h.delivery);
  config_for(&args, h.delivery, config, sizeof config);
  helio_client_options options;
  helio_client_options_init(&options, sizeof options);
  options.config = config;
  helio_error *error = NULL;
  if (!no_error(error, helio_client_create(&options, &h.client, &error), "create")) return 1;
  sem_init(&h.done, 0, 0);
  helio_request_options_init(&h.options, sizeof h.options);
  h.options.on_event = strcmp(h.delivery, "pull") == 0 ? NULL : on_event;
  h.options.user_data = &h;
  if (strcmp(h.delivery, "thread") == 0)
    h.options.delivery = HELIO_DELIVERY_THREAD;
  else if (strcmp(h.delivery, "poll") == 0)
    h.options.delivery = HELIO_DELIVERY_POLL;
  else if (strcmp(h.delivery, "pull") == 0)
    h.options.delivery = HELIO_DELIVERY_PULL;
  else if (strcmp(h.delivery, "complete") != 0)
    return fprintf(stderr, "helio: HELIO_DELIVERY is complete, thread, poll or pull\n"), 2;
  int code = args.paced ? run_paced(&h, name) : bench_run(name, &args, once, &h);
  if (helio_client_destroy(h.client, 5000) != HELIO_OK) {
    fputs("helio: destroy did not end\n", stderr);
    code = 1;
  }
  return code;
}
