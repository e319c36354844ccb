/* Mixed load for as long as it is told, in rounds: see scripts/soak.py, which has the servers.
 *
 *   soak SECONDS SEED NAME=BASE_URL[,CA_FILE] ...
 *
 * A round: a client for each server; threads that submit (THREAD, POLL, PULL) and that call helio_complete, poll, take events,
 * cancel, fork, and make clients of their own that are destroyed with requests alive. After some seconds all stop; every other
 * round waits for its requests, the others destroy them. Then nothing is left, and what the process holds is looked at: descriptors and
 * threads are as many as before the first round, memory has not grown. Each request, known by its slot, must have had exactly one
 * DONE, nothing behind it, and if it ended well, the text that belongs to it.
 */
#include <dirent.h>
#include <helio.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MOST_REQUESTS 4000000u
#define MOST_SERVERS 4
#define IN_FLIGHT 48
#define ROUND_SECONDS 12
#define WARM_UP_ROUNDS 4
/* After the warm-up rounds memory may still differ by what the allocator keeps for its threads. */
#define MEMORY_SLACK_KIB 6144

enum { SUBMITTED = 1, DONE = 2, OF_A_MODEL = 4 };

typedef struct server {
  char name[32], url[256], ca[512];
  helio_client *client;
} server;

static server servers[MOST_SERVERS];
static int server_count;
static unsigned char slots[MOST_REQUESTS]; /* what has become of each request */
static helio_request_id last_id[MOST_SERVERS];
static unsigned long begun, ended, well, cancelled, failed, doubled, behind, mixed_up, forks;
static unsigned in_flight;
static int stop;
static unsigned long random_state;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static unsigned long drawn(unsigned long below) {
  unsigned long n;
  pthread_mutex_lock(&lock);
  random_state = random_state * 6364136223846793005ul + 1442695040888963407ul;
  n = (random_state >> 33) % below;
  pthread_mutex_unlock(&lock);
  return n;
}

static int stopped(void) {
  int is;
  pthread_mutex_lock(&lock);
  is = stop;
  pthread_mutex_unlock(&lock);
  return is;
}

static void pause_ms(long ms) {
  struct timespec t;
  t.tv_sec = ms / 1000;
  t.tv_nsec = ms % 1000 * 1000000;
  nanosleep(&t, NULL);
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void die(const char *what) {
  fprintf(stderr, "soak: %s\n", what);
  exit(1);
}

/* ---- events ------------------------------------------------------------------------------------- */

/* An answer that ended well is the whole of its own: the scripted server says the slot's number back. */
static int is_right(const helio_event *event, unsigned long slot) {
  char expected[64];
  if (slots[slot] & OF_A_MODEL) return event->data && event->len > 2; /* nobody knows what it says */
  snprintf(expected, sizeof expected, "You said: question %lu of many", slot);
  return event->text && event->text_len == strlen(expected) && !memcmp(event->text, expected, event->text_len);
}

static void seen(const helio_event *event, void *user_data) {
  unsigned char *slot = user_data;
  pthread_mutex_lock(&lock);
  if (*slot & DONE) {
    if (event->kind == HELIO_EVENT_DONE) doubled++;
    else behind++;
  } else if (event->kind == HELIO_EVENT_DONE) {
    *slot |= DONE;
    ended++;
    in_flight--;
    if (event->status == HELIO_OK) {
      well++;
      if (!is_right(event, (unsigned long)(slot - slots))) mixed_up++;
    } else if (event->status == HELIO_ERR_CANCELLED || event->status == HELIO_ERR_SHUT_DOWN) {
      cancelled++;
    } else {
      failed++;
    }
  }
  pthread_mutex_unlock(&lock);
}

static int32_t on_event(const helio_event *event, void *user_data) {
  seen(event, user_data);
  return event->kind == HELIO_EVENT_CHUNK && drawn(40) == 0;
}

/* ---- requests ----------------------------------------------------------------------------------- */

/* A slot for one request, or NULL when enough are under way. */
static unsigned char *take_slot(int which) {
  unsigned char *slot = NULL;
  pthread_mutex_lock(&lock);
  if (in_flight < IN_FLIGHT && begun < MOST_REQUESTS) {
    slot = &slots[begun++];
    *slot = (unsigned char)(strcmp(servers[which].name, "real") ? SUBMITTED : SUBMITTED | OF_A_MODEL);
    in_flight++;
  }
  pthread_mutex_unlock(&lock);
  return slot;
}

static void give_back(unsigned char *slot) {
  pthread_mutex_lock(&lock);
  if (!(*slot & DONE)) {
    *slot |= DONE; /* refused: no event ever comes */
    ended++;
    failed++;
    in_flight--;
  } else {
    doubled++;
  }
  pthread_mutex_unlock(&lock);
}

/* The body and the options of a slot's request. */
static void prepare(unsigned char *slot, char *out, size_t size, helio_request_options *options) {
  helio_request_options_init(options, sizeof *options);
  options->on_event = on_event;
  options->user_data = slot;
  snprintf(out, size, "{\"model\":\"any\",\"max_tokens\":8,\"stream\":%s,\"messages\":[{\"role\":\"user\",\"content\":\"question %lu of many\"}]}",
           drawn(3) ? "true" : "false", (unsigned long)(slot - slots));
}

static helio_client *make_client(const server *s) {
  char config[1024];
  helio_client_options options;
  helio_client *client = NULL;
  helio_error *error = NULL;
  snprintf(config, sizeof config,
           "{\"base_url\":\"%s\",\"api_key\":\"soak\",\"timeouts\":{\"connect_ms\":5000,\"first_event_ms\":20000,\"idle_ms\":3000,\"total_ms\":40000},"
           "\"retry\":{\"max_retries\":2,\"base_ms\":20,\"max_ms\":200}%s%s%s}",
           s->url, s->ca[0] ? ",\"tls\":{\"ca_file\":\"" : "", s->ca, s->ca[0] ? "\"}" : "");
  helio_client_options_init(&options, sizeof options);
  options.config = config;
  if (helio_client_create(&options, &client, &error) != HELIO_OK) die(helio_error_message(error, NULL));
  return client;
}

static void submit(int which, helio_client *client, helio_delivery delivery) {
  char body[256];
  unsigned char *slot = take_slot(which);
  helio_request_options options;
  helio_request_id id = 0;
  if (!slot) {
    pause_ms(2);
    return;
  }
  prepare(slot, body, sizeof body, &options);
  options.delivery = delivery;
  if (delivery == HELIO_DELIVERY_PULL) options.on_event = NULL;
  if (helio_submit(client, body, HELIO_STRLEN, &options, &id, NULL) != HELIO_OK) give_back(slot);
  else if (client == servers[which].client) {
    pthread_mutex_lock(&lock);
    last_id[which] = id;
    pthread_mutex_unlock(&lock);
  }
}

static void *submitting(void *number) {
  static const helio_delivery deliveries[] = {HELIO_DELIVERY_POLL, HELIO_DELIVERY_PULL, HELIO_DELIVERY_THREAD};
  int which = *(int *)number;
  while (!stopped()) {
    submit(which, servers[which].client, deliveries[drawn(3)]);
    pause_ms((long)drawn(12));
  }
  return NULL;
}

static void *completing(void *number) {
  int which = *(int *)number;
  while (!stopped()) {
    char body[256];
    unsigned char *slot = take_slot(which);
    helio_request_options options;
    helio_buffer *answer = NULL;
    if (!slot) {
      pause_ms(2);
      continue;
    }
    prepare(slot, body, sizeof body, &options);
    helio_complete(servers[which].client, body, HELIO_STRLEN, &options, &answer, NULL);
    helio_buffer_free(answer);
    pthread_mutex_lock(&lock);
    if (!(*slot & DONE)) mixed_up++; /* it returned before its DONE was shown */
    pthread_mutex_unlock(&lock);
  }
  return NULL;
}

static void *polling(void *number) {
  while (helio_poll(servers[*(int *)number].client, 100, 0, NULL) == HELIO_OK) continue;
  return NULL;
}

static void *pulling(void *number) {
  const helio_event *event;
  while (helio_next_event(servers[*(int *)number].client, 100, &event) == HELIO_OK) {
    if (event) seen(event, event->user_data);
    helio_event_release(event);
  }
  return NULL;
}

static void *cancelling(void *number) {
  int which = *(int *)number;
  while (!stopped()) {
    helio_request_id id;
    pthread_mutex_lock(&lock);
    id = last_id[which];
    pthread_mutex_unlock(&lock);
    if (drawn(3) == 0) helio_cancel(servers[which].client, id);
    if (drawn(500) == 0) helio_cancel_all(servers[which].client);
    pause_ms((long)drawn(40));
  }
  return NULL;
}

/* Clients that come and go, with requests alive. */
static void *coming_and_going(void *number) {
  int which = *(int *)number;
  while (!stopped()) {
    helio_client *client = make_client(&servers[which]);
    int i;
    for (i = 0; i < 4; i++) submit(which, client, drawn(2) ? HELIO_DELIVERY_THREAD : HELIO_DELIVERY_POLL);
    pause_ms((long)drawn(60));
    helio_poll(client, 0, 0, NULL);
    if (helio_client_destroy(client, 30000) != HELIO_OK) die("a client with requests was not destroyed in time");
    pause_ms((long)drawn(100));
  }
  return NULL;
}

/* A child that frees what its parent had and asks with a client of its own. */
static void *forking(void *number) {
  int which = *(int *)number;
  while (!stopped()) {
    int status = 0;
    pid_t child = fork();
    if (child < 0) die("fork");
    if (child == 0) {
      helio_client *mine;
      alarm(60);
      if (helio_submit(servers[which].client, "{}", 2, NULL, NULL, NULL) == HELIO_OK) _exit(3);
      mine = make_client(&servers[which]);
      helio_complete(mine, "{\"model\":\"any\",\"messages\":[{\"role\":\"user\",\"content\":\"child\"}]}", HELIO_STRLEN, NULL, NULL, NULL);
      if (helio_client_destroy(mine, 30000) != HELIO_OK) _exit(4);
      _exit(0);
    }
    waitpid(child, &status, 0);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) die("a forked child failed");
    pthread_mutex_lock(&lock);
    forks++;
    pthread_mutex_unlock(&lock);
    pause_ms(1500);
  }
  return NULL;
}

/* ---- what the process holds ----------------------------------------------------------------------- */

static long entries(const char *folder) {
  long count = 0;
  DIR *d = opendir(folder);
  if (!d) die(folder);
  while (readdir(d)) count++;
  closedir(d);
  return count;
}

static long resident_kib(void) {
  char line[256];
  long kib = 0;
  FILE *f = fopen("/proc/self/status", "r");
  if (!f) die("/proc/self/status");
  while (fgets(line, sizeof line, f))
    if (!strncmp(line, "VmRSS:", 6)) kib = atol(line + 6);
  fclose(f);
  return kib - (long)(begun / 1024); /* the slots that were written to are ours */
}

typedef struct held {
  long fds, threads, kib;
} held;

static held look(void) {
  held h;
  h.fds = entries("/proc/self/fd");
  h.threads = entries("/proc/self/task") - 2;
  h.kib = resident_kib();
  return h;
}

/* ---- rounds ---------------------------------------------------------------------------------------- */

static void one_round(int waits, double seconds) {
  /* One takes events: with two, what one has taken may be looked at behind the DONE that the other has. */
  static void *(*const roles[])(void *) = {submitting, submitting, completing, polling, pulling, cancelling, coming_and_going, forking};
  enum { ROLES = sizeof roles / sizeof roles[0] };
  static int numbers[MOST_SERVERS];
  pthread_t threads[MOST_SERVERS][ROLES];
  double end = now() + seconds;
  int s, r;
  stop = 0;
  for (s = 0; s < server_count; s++) servers[s].client = make_client(&servers[s]);
  for (s = 0; s < server_count; s++) {
    numbers[s] = s;
    for (r = 0; r < ROLES; r++)
      if (pthread_create(&threads[s][r], NULL, roles[r], &numbers[s])) die("pthread_create");
  }
  while (now() < end) pause_ms(20);
  pthread_mutex_lock(&lock);
  stop = 1;
  pthread_mutex_unlock(&lock);
  for (s = 0; s < server_count; s++) /* the first ones end by themselves */
    for (r = 0; r < ROLES; r++)
      if (roles[r] != polling && roles[r] != pulling) pthread_join(threads[s][r], NULL);
  for (end = now() + 60; waits && now() < end;) {
    unsigned left;
    pthread_mutex_lock(&lock);
    left = in_flight;
    pthread_mutex_unlock(&lock);
    if (!left) break;
    pause_ms(5);
  }
  for (s = 0; s < server_count; s++) {
    helio_client_shutdown(servers[s].client);
    for (r = 0; r < ROLES; r++) /* those that receive go on until nothing can come */
      if (roles[r] == polling || roles[r] == pulling) pthread_join(threads[s][r], NULL);
    if (helio_client_destroy(servers[s].client, 30000) != HELIO_OK) die("a client was not destroyed in time");
  }
}

int main(int argc, char **argv) {
  double seconds, start, said;
  held first = {0, 0, 0}, warm = {0, 0, 0}, last = {0, 0, 0};
  unsigned long round, lost;
  int i;
  if (argc < 4 || argc - 3 > MOST_SERVERS) die("usage: soak SECONDS SEED NAME=BASE_URL[,CA_FILE] ...");
  seconds = atof(argv[1]);
  random_state = strtoul(argv[2], NULL, 10);
  for (i = 3; i < argc; i++) {
    server *s = &servers[server_count++];
    if (sscanf(argv[i], "%31[^=]=%255[^,],%511s", s->name, s->url, s->ca) < 2) die(argv[i]);
  }
  first = look();
  start = said = now();
  for (round = 0; now() - start < seconds || round <= WARM_UP_ROUNDS; round++) {
    one_round(round % 2 == 0, round < WARM_UP_ROUNDS ? 2 : ROUND_SECONDS);
    last = look();
    if (round + 1 == WARM_UP_ROUNDS) warm = last;
    if (in_flight) die("requests were lost: they have no DONE, and their client is gone");
    if (last.fds != first.fds || last.threads != first.threads) {
      fprintf(stderr, "soak: round %lu: descriptors %ld then %ld, threads %ld then %ld\n", round, first.fds, last.fds, first.threads, last.threads);
      return 1;
    }
    if (now() - said >= 30) {
      said = now();
      fprintf(stderr, "soak: %.0f s: %lu requests, %lu well, %lu cancelled, %lu failed, %lu forks, %ld KiB\n", said - start, begun, well, cancelled,
              failed, forks, last.kib);
    }
  }
  lost = begun - ended;
  printf("soak seconds=%.0f requests=%lu done=%lu well=%lu cancelled=%lu failed=%lu lost=%lu doubled=%lu behind_done=%lu mixed_up=%lu forks=%lu "
         "rounds=%lu rss_kib_begin=%ld rss_kib_end=%ld fds_begin=%ld fds_end=%ld threads_begin=%ld threads_end=%ld\n",
         now() - start, begun, ended, well, cancelled, failed, lost, doubled, behind, mixed_up, forks, round, warm.kib, last.kib, first.fds, last.fds,
         first.threads, last.threads);
  if (lost || doubled || behind || mixed_up || !well || !cancelled || !failed || !forks) return 1;
  if (last.kib > warm.kib + MEMORY_SLACK_KIB) {
    fprintf(stderr, "soak: memory grew from %ld to %ld KiB\n", warm.kib, last.kib);
    return 1;
  }
  return 0;
}
