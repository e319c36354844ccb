/* Asks, and says as JSON what came of it: what Python tests look at.
 *
 *   ask CONFIG REQUEST complete|poll|pull|thread [COUNT [together] [chunks]]
 *
 * CONFIG and REQUEST are files of JSON. COUNT requests (1 unless given) go through one client: one after the other,
 * each but the first after a line of standard input or its end; or `together`, all at once. For each there is one line
 * on standard output when it is over, and with `chunks` also {"chunk":text} for each CHUNK:
 *
 *   {"status":…,"http_status":…,"chunks":…,"data":…,"error":…,"report":…,"stats":…}
 *
 * A client or request that is refused is such a line, too. What the library logs goes to standard error. The exit code
 * is 0 unless the library contradicts itself.
 */
#include "../../examples/c/common.h"
#include <pthread.h>
#include <time.h>

typedef struct asked {
  int chunks, dones;
  helio_status status; /* as DONE had it */
  size_t len;
} asked;

static helio_client *client;
static text body;
static int show_chunks;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* for standard output and what stands in `asked` */
static pthread_cond_t done = PTHREAD_COND_INITIALIZER;

static void die(const char *what, const char *why) {
  fprintf(stderr, "ask: %s: %s\n", what, why);
  exit(EXIT_FAILURE);
}

static text file(const char *path) {
  text content = {0};
  char part[65536];
  size_t got;
  FILE *from = fopen(path, "rb");
  if (!from) die(path, "cannot be read");
  while ((got = fread(part, 1, sizeof part, from)) > 0) text_add_bytes(&content, part, got);
  fclose(from);
  return content;
}

/* Writing JSON --------------------------------------------------------------------------------------------------- */

/* JSON as the server sent it: where it has an end of line, a blank means the same. */
static void add_json(text *t, const char *name, const char *json, size_t len) {
  size_t at;
  text_add(t, name);
  at = t->len;
  if (json) text_add_bytes(t, json, len);
  else text_add(t, "null");
  for (; at < t->len; at++) {
    if (t->data[at] == '\n' || t->data[at] == '\r') t->data[at] = ' ';
  }
}

static void add_string(text *t, const char *name, const char *string, size_t len) {
  text_add(t, name);
  if (string) text_add_json(t, string, len);
  else text_add(t, "null");
}

static void add_number(text *t, const char *name, int64_t number) {
  char digits[32];
  snprintf(digits, sizeof digits, "%lld", (long long)number);
  text_add(t, name);
  text_add(t, digits);
}

static void add_error(text *t, const helio_error *error) {
  const char *name = helio_status_name(helio_error_status(error)), *string;
  size_t len;
  text_add(t, ",\"error\":");
  if (!error) {
    text_add(t, "null");
    return;
  }
  add_string(t, "{\"status\":", name, strlen(name));
  string = helio_error_message(error, &len);
  add_string(t, ",\"message\":", string, len);
  string = helio_error_code(error, &len);
  add_string(t, ",\"code\":", string, len);
  string = helio_error_type(error, &len);
  add_string(t, ",\"type\":", string, len);
  string = helio_error_body(error, &len);
  add_string(t, ",\"body\":", string, len);
  add_number(t, ",\"http_status\":", helio_error_http_status(error));
  add_number(t, ",\"retry_after_ms\":", helio_error_retry_after_ms(error));
  text_add(t, "}");
}

/* One line, made of what DONE has; `event` is NULL if there was none. */
static void show(helio_status status, const asked *a, const helio_event *event, const helio_error *error) {
  const char *name = helio_status_name(status);
  helio_buffer *stats = NULL;
  text line = {0};

  if (client && helio_client_stats(client, &stats) != HELIO_OK) die("stats", "refused");
  add_string(&line, "{\"status\":", name, strlen(name));
  add_number(&line, ",\"http_status\":", event ? event->http_status : 0);
  add_number(&line, ",\"chunks\":", a->chunks);
  add_json(&line, ",\"data\":", event ? event->data : NULL, event ? event->len : 0);
  add_error(&line, error);
  add_json(&line, ",\"report\":", event ? event->report : NULL, event ? event->report_len : 0);
  add_json(&line, ",\"stats\":", helio_buffer_data(stats), helio_buffer_size(stats));
  text_add(&line, "}");
  puts(line.data);
  fflush(stdout);
  helio_buffer_free(stats);
  free(line.data);
}

static void show_chunk(const helio_event *event) {
  text line = {0};
  add_string(&line, "{\"chunk\":", event->text, event->text_len);
  text_add(&line, "}");
  puts(line.data);
  fflush(stdout);
  free(line.data);
}

/* Asking --------------------------------------------------------------------------------------------------------- */

static int32_t on_event(const helio_event *event, void *user_data) {
  asked *a = user_data;
  pthread_mutex_lock(&lock);
  if (event->kind == HELIO_EVENT_CHUNK) {
    a->chunks++;
    if (show_chunks) show_chunk(event);
  } else if (event->kind == HELIO_EVENT_DONE) {
    a->status = event->status;
    a->len = event->len;
    show(event->status, a, event, event->error);
    a->dones++;
    pthread_cond_signal(&done);
  }
  pthread_mutex_unlock(&lock);
  return 0;
}

/* What the blocking call returns is what its DONE had. */
static void complete(asked *a) {
  helio_request_options options;
  helio_buffer *answer = NULL;
  helio_error *error = NULL;
  helio_status status;

  helio_request_options_init(&options, sizeof options);
  options.on_event = on_event;
  options.user_data = a;
  status = helio_complete(client, body.data, body.len, &options, &answer, &error);
  if (!a->dones) {
    show(status, a, NULL, error);
  } else if (a->dones != 1 || status != a->status || helio_error_status(error) != status) {
    die("helio_complete", "its status is not that of its one DONE");
  } else if (helio_buffer_size(answer) != a->len) {
    die("helio_complete", "its answer is not that of DONE");
  }
  helio_error_free(error);
  helio_buffer_free(answer);
}

static int submit(helio_delivery delivery, asked *a) {
  helio_request_options options;
  helio_error *error = NULL;
  helio_status status;

  helio_request_options_init(&options, sizeof options);
  options.delivery = delivery;
  options.on_event = delivery == HELIO_DELIVERY_PULL ? NULL : on_event;
  options.user_data = a;
  status = helio_submit(client, body.data, body.len, &options, NULL, &error);
  if (status != HELIO_OK) {
    pthread_mutex_lock(&lock);
    show(status, a, NULL, error);
    pthread_mutex_unlock(&lock);
  }
  helio_error_free(error);
  return status == HELIO_OK;
}

static void wait_for(helio_delivery delivery, const asked *a) {
  const helio_event *event;
  helio_status status = HELIO_OK;

  if (delivery == HELIO_DELIVERY_THREAD) {
    pthread_mutex_lock(&lock);
    while (!a->dones) pthread_cond_wait(&done, &lock);
    pthread_mutex_unlock(&lock);
    return;
  }
  while (!a->dones && status == HELIO_OK) {
    if (delivery == HELIO_DELIVERY_POLL) {
      status = helio_poll(client, HELIO_WAIT_FOREVER, 0, NULL);
    } else {
      status = helio_next_event(client, HELIO_WAIT_FOREVER, &event);
      if (event) on_event(event, event->user_data);
      helio_event_release(event);
    }
  }
  if (status != HELIO_OK) die("receiving", helio_status_name(status));
}

/* The last bytes of a stream may come behind its DONE, and until then no other request can have its connection. With POLL
 * and PULL the library waits for them at once, otherwise it looks for them when it is asked again. */
static void wait_until_quiet(void) {
  struct timespec pause = {0, 1000000};
  int turns, open = 0, idle = 0, found;
  for (turns = 0; turns < 30000; turns++) {
    helio_buffer *stats = NULL;
    const char *connections;
    if (helio_client_stats(client, &stats) != HELIO_OK) die("stats", "refused");
    connections = strstr(helio_buffer_data(stats), "\"connections\":");
    found = connections ? sscanf(connections, "\"connections\":{\"open\":%d,\"idle\":%d", &open, &idle) : 0;
    helio_buffer_free(stats);
    if (found != 2) die("stats", "no connections");
    if (open == idle) return;
    nanosleep(&pause, NULL);
  }
  die("stats", "a connection is left that nobody uses and that is not idle");
}

static void log_line(int32_t level, const char *target, const char *message, size_t len, void *user_data) {
  (void)user_data;
  fprintf(stderr, "%d %s: %.*s\n", (int)level, target, (int)len, message);
}

int main(int argc, char **argv) {
  static const char *const names[] = {"poll", "pull", "thread", "complete"}; /* the first three by their numbers */
  long count = argc > 4 ? strtol(argv[4], NULL, 10) : 1, i;
  int together = argc > 5 && !strcmp(argv[5], "together"), blocking;
  helio_client_options options;
  helio_error *error = NULL;
  helio_status status;
  helio_delivery way = 0;
  text config;
  asked *all;

  show_chunks = argc > 5 && !strcmp(argv[argc - 1], "chunks");
  while (argc > 3 && way < 4 && strcmp(argv[3], names[way]) != 0) way++;
  blocking = way == 3;
  if (argc < 4 || way > 3 || count < 1 || (blocking && together)) {
    fputs("usage: ask CONFIG REQUEST complete|poll|pull|thread [COUNT [together] [chunks]]\n", stderr);
    return 2;
  }
  all = calloc((size_t)count, sizeof *all);
  if (!all) die("calloc", "no memory");
  config = file(argv[1]);
  body = file(argv[2]);

  helio_client_options_init(&options, sizeof options);
  options.config = config.data;
  options.config_len = config.len;
  options.log_fn = log_line;
  options.log_level = HELIO_LOG_TRACE;
  status = helio_client_create(&options, &client, &error);
  if (status != HELIO_OK) show(status, &all[0], NULL, error);
  helio_error_free(error);

  for (i = 0; client && i < count; i++) {
    int character = i == 0 || together ? EOF : getchar();
    while (character != EOF && character != '\n') character = getchar();
    if (!together && (way == HELIO_DELIVERY_POLL || way == HELIO_DELIVERY_PULL)) wait_until_quiet();
    if (blocking) complete(&all[i]);
    else if (!submit(way, &all[i])) all[i].dones = 1;
    else if (!together) wait_for(way, &all[i]);
  }
  for (i = 0; client && together && i < count; i++) wait_for(way, &all[i]);

  if (helio_client_destroy(client, 60000) != HELIO_OK) die("destroy", "does not end");
  for (i = 0; client && i < count; i++) {
    if (all[i].dones > 1) die("DONE", "came twice");
  }
  free(all);
  free(config.data);
  free(body.data);
  return EXIT_SUCCESS;
}
