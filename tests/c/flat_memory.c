/* One client, many calls: the process must not grow.
 *
 *   flat_memory BASE_URL [CALLS [BOUND_KIB]]      (10000 calls, 256 KiB unless given)
 *
 * Whole answers and streams take turns; every tenth call is refused by the server (it knows the model
 * "refuse" for that) and every tenth by the library, so the error paths are walked as well. The resident
 * size after the first tenth of the calls is compared with the one at the end. Linux only.
 */
#include <helio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BODY(model, stream) \
  "{\"model\":\"" model "\",\"messages\":[{\"role\":\"user\",\"content\":\"again\"}],\"stream\":" stream "}"

static unsigned long chunks, dones;

static int32_t count(const helio_event *event, void *user_data) {
  (void)user_data;
  if (event->kind == HELIO_EVENT_CHUNK) chunks++;
  if (event->kind == HELIO_EVENT_DONE) dones++;
  return 0;
}

static long resident_kib(void) {
  long pages = 0;
  FILE *file = fopen("/proc/self/statm", "r");
  if (!file || fscanf(file, "%*s %ld", &pages) != 1) {
    fputs("flat_memory: /proc/self/statm cannot be read\n", stderr);
    exit(2);
  }
  fclose(file);
  return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static void call(helio_client *client, unsigned long i) {
  const char *body = i % 2 ? BODY("any", "true") : BODY("any", "false");
  helio_status expected = HELIO_OK, status;
  helio_request_options options;
  helio_buffer *answer = NULL;
  helio_error *error = NULL;

  if (i % 10 == 8) body = BODY("refuse", "true"), expected = HELIO_ERR_BAD_REQUEST;
  if (i % 10 == 9) body = "[not an object", expected = HELIO_ERR_INVALID_JSON;
  helio_request_options_init(&options, sizeof options);
  options.on_event = count;
  status = helio_complete(client, body, HELIO_STRLEN, &options, &answer, &error);
  if (status != expected || (status == HELIO_OK) != (helio_buffer_size(answer) > 0)) {
    const char *message = helio_error_message(error, NULL);
    fprintf(stderr, "flat_memory: call %lu gave %s, not %s: %s\n", i, helio_status_name(status),
            helio_status_name(expected), message ? message : "");
    exit(1);
  }
  helio_buffer_free(answer);
  helio_error_free(error);
}

int main(int argc, char **argv) {
  unsigned long calls = argc > 2 ? strtoul(argv[2], NULL, 10) : 10000, i;
  long bound_kib = argc > 3 ? strtol(argv[3], NULL, 10) : 256, warm_kib = 0, end_kib;
  helio_client_options options;
  helio_client *client = NULL;
  char config[512];

  if (argc < 2 || calls < 10) {
    fputs("usage: flat_memory BASE_URL [CALLS [BOUND_KIB]], at least 10 calls\n", stderr);
    return 2;
  }
  snprintf(config, sizeof config, "{\"base_url\":\"%s\"}", argv[1]);
  helio_client_options_init(&options, sizeof options);
  options.config = config;
  if (helio_client_create(&options, &client, NULL) != HELIO_OK) {
    fputs("flat_memory: no client\n", stderr);
    return 1;
  }
  for (i = 0; i < calls; i++) {
    if (i == calls / 10) warm_kib = resident_kib();
    call(client, i);
  }
  end_kib = resident_kib();
  printf("%lu calls, %lu chunks, %lu ends: %ld KiB after %lu calls, %ld KiB at the end, %+ld KiB (bound %ld)\n",
         calls, chunks, dones, warm_kib, calls / 10, end_kib, end_kib - warm_kib, bound_kib);
  if (helio_client_destroy(client, 10000) != HELIO_OK) {
    fputs("flat_memory: destroy did not finish\n", stderr);
    return 1;
  }
  return end_kib - warm_kib > bound_kib;
}
