/* helio: one client, helio_complete on this thread. With a stream every event is delivered, its text looked at, and the
 * whole chat.completion assembled and handed out at the end; all of that is measured. */
#include "bench.h"

#include "helio.h"

struct host {
  helio_client *client;
  const struct bench_args *args;
  helio_request_options options;
  long chunks;
  size_t text_len;
  size_t done_text_len;
  int dones;
};

static int32_t on_event(const helio_event *event, void *user_data) {
  struct host *h = user_data;
  if (event->kind == HELIO_EVENT_CHUNK) {
    h->chunks++;
    h->text_len += event->text_len;
  } else if (event->kind == HELIO_EVENT_DONE) {
    h->dones++;
    h->done_text_len = event->text_len;
  }
  return 0;
}

static int once(void *context) {
  struct host *h = context;
  const struct bench_args *a = h->args;
  helio_buffer *answer = NULL;
  helio_error *error = NULL;
  h->chunks = 0;
  h->text_len = h->done_text_len = 0;
  h->dones = 0;
  helio_status status =
      helio_complete(h->client, a->body, a->body_len, a->stream ? &h->options : NULL, &answer, &error);
  int ok = status == HELIO_OK && helio_buffer_size(answer) > 0;
  if (ok && a->stream)
    ok = h->chunks == a->chunks + BENCH_EXTRA_CHUNKS && h->dones == 1 && h->text_len > 0 &&
         h->text_len == h->done_text_len && helio_buffer_size(answer) > h->text_len;
  if (!ok)
    fprintf(stderr, "helio: %s (%s), %zu bytes, %ld chunks, %zu and %zu bytes of text\n", helio_status_name(status),
            error != NULL ? helio_error_message(error, NULL) : "no error", helio_buffer_size(answer), h->chunks,
            h->text_len, h->done_text_len);
  helio_buffer_free(answer);
  helio_error_free(error);
  return !ok;
}

int main(int argc, char **argv) {
  struct bench_args args;
  bench_parse(&args, argc, argv, helio_version_string());
  pin_to_allowed_cpu(1);
  char config[256];
  snprintf(config, sizeof config,
           "{\"base_url\":\"http://127.0.0.1:%d/v1\",\"api_key\":\"" BENCH_KEY "\",\"retry\":{\"max_retries\":0}}",
           args.port);
  helio_client_options options;
  helio_client_options_init(&options, sizeof options);
  options.config = config;
  helio_error *error = NULL;
  struct host h = {.args = &args};
  if (helio_client_create(&options, &h.client, &error) != HELIO_OK) {
    fprintf(stderr, "helio: %s\n", helio_error_message(error, NULL));
    helio_error_free(error);
    return 1;
  }
  helio_request_options_init(&h.options, sizeof h.options);
  h.options.on_event = on_event;
  h.options.user_data = &h;
  int code = bench_run("helio", &args, once, &h);
  if (helio_client_destroy(h.client, 5000) != HELIO_OK) {
    fputs("helio: destroy did not end\n", stderr);
    code = 1;
  }
  return code;
}
