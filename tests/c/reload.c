/* A plug-in host: the library is opened, used, closed, and opened again, many times in one process.
 *
 *   reload LIBRARY BASE_URL [ROUNDS [BOUND_KIB]]      (1000 rounds, 1024 KiB unless given)
 *
 * It is not linked with the library. Each round makes a client, submits a THREAD and a POLL request, sees both to
 * their ends, destroys the client and closes the library. After it, only the main thread is left. The number of
 * descriptors and the resident size after the first tenth of the rounds are compared with those at the end.
 * Linux only.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <helio.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BODY "{\"model\":\"any\",\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":\"again and again\"}]}"

/* The functions of this round, by their own names behind an `f_`. */
#define FUNCTIONS(F) \
  F(helio_client_options_init) F(helio_client_create) F(helio_client_destroy) F(helio_request_options_init) \
  F(helio_submit) F(helio_poll) F(helio_status_name)
#define DECLARE(name) static __typeof__(name) *f_##name;
FUNCTIONS(DECLARE)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t thread_done = PTHREAD_COND_INITIALIZER;

typedef struct request {
  int dones, right, locked;
} request;

static void die(const char *what, const char *why) {
  fprintf(stderr, "reload: %s: %s\n", what, why ? why : "?");
  exit(1);
}

static int32_t on_event(const helio_event *event, void *user_data) {
  request *r = user_data;
  if (event->kind != HELIO_EVENT_DONE) return 0;
  if (r->locked) pthread_mutex_lock(&lock);
  r->dones++;
  r->right = event->status == HELIO_OK && event->text && !strcmp(event->text, "You said: again and again");
  if (r->locked) {
    pthread_cond_signal(&thread_done);
    pthread_mutex_unlock(&lock);
  }
  return 0;
}

static void submit(helio_client *client, helio_delivery delivery, request *r) {
  helio_request_options options;
  helio_status status;
  f_helio_request_options_init(&options, sizeof options);
  options.delivery = delivery;
  options.on_event = on_event;
  options.user_data = r;
  status = f_helio_submit(client, BODY, HELIO_STRLEN, &options, NULL, NULL);
  if (status != HELIO_OK) die("submit", f_helio_status_name(status));
}

static void one_round(const char *library, const char *base_url) {
  request polled = {0, 0, 0}, threaded = {0, 0, 1};
  helio_client_options options;
  helio_client *client = NULL;
  helio_status status;
  char config[512];
  void *opened = dlopen(library, RTLD_NOW | RTLD_LOCAL);

  if (!opened) die("dlopen", dlerror());
#define FIND(name) \
  *(void **)&f_##name = dlsym(opened, #name); \
  if (!f_##name) die("dlsym", #name);
  FUNCTIONS(FIND)

  snprintf(config, sizeof config, "{\"base_url\":\"%s\"}", base_url);
  f_helio_client_options_init(&options, sizeof options);
  options.config = config;
  status = f_helio_client_create(&options, &client, NULL);
  if (status != HELIO_OK) die("create", f_helio_status_name(status));
  submit(client, HELIO_DELIVERY_THREAD, &threaded);
  submit(client, HELIO_DELIVERY_POLL, &polled);
  while (!polled.dones) {
    status = f_helio_poll(client, HELIO_WAIT_FOREVER, 0, NULL);
    if (status != HELIO_OK) die("poll", f_helio_status_name(status));
  }
  pthread_mutex_lock(&lock);
  while (!threaded.dones) pthread_cond_wait(&thread_done, &lock);
  pthread_mutex_unlock(&lock);
  status = f_helio_client_destroy(client, 60000);
  if (status != HELIO_OK) die("destroy", f_helio_status_name(status));
  if (polled.dones != 1 || threaded.dones != 1) die("more than one DONE", "");
  if (!polled.right || !threaded.right) die("a wrong answer", "");
  if (dlclose(opened) != 0) die("dlclose", dlerror());
}

static int entries(const char *folder) {
  int count = 0;
  DIR *dir = opendir(folder);
  if (!dir) die(folder, "cannot be read");
  while (readdir(dir)) count++;
  closedir(dir);
  return count - 2;
}

/* A thread that was joined is listed for a moment longer. */
static void wait_until_alone(void) {
  struct timespec pause = {0, 1000000};
  int turns;
  for (turns = 0; entries("/proc/self/task") > 1; turns++) {
    if (turns > 30000) die("a thread is left after destroy", "");
    nanosleep(&pause, NULL);
  }
}

static long resident_kib(void) {
  long pages = 0;
  FILE *file = fopen("/proc/self/statm", "r");
  if (!file || fscanf(file, "%*s %ld", &pages) != 1) die("/proc/self/statm", "cannot be read");
  fclose(file);
  return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static int is_loaded(const char *word) {
  char line[4096];
  int found = 0;
  FILE *file = fopen("/proc/self/maps", "r");
  if (!file) die("/proc/self/maps", "cannot be read");
  while (fgets(line, sizeof line, file)) found |= strstr(line, word) != NULL;
  fclose(file);
  return found;
}

int main(int argc, char **argv) {
  long rounds = argc > 3 ? strtol(argv[3], NULL, 10) : 1000, bound_kib = argc > 4 ? strtol(argv[4], NULL, 10) : 1024;
  long i, warm_kib = 0, end_kib;
  int warm_descriptors = 0, end_descriptors;

  if (argc < 3 || rounds < 1) {
    fputs("usage: reload LIBRARY BASE_URL [ROUNDS [BOUND_KIB]]\n", stderr);
    return 2;
  }
  if (is_loaded("libhelio")) die("the library was loaded before it was opened", "");
  for (i = 0; i < rounds; i++) {
    one_round(argv[1], argv[2]);
    wait_until_alone();
    if (i == rounds / 10) {
      warm_kib = resident_kib();
      warm_descriptors = entries("/proc/self/fd");
    }
  }
  end_kib = resident_kib();
  end_descriptors = entries("/proc/self/fd");
  printf("%ld rounds, %+ld KiB (bound %ld), %+d descriptors, %s after the last dlclose\n", rounds, end_kib - warm_kib,
         bound_kib, end_descriptors - warm_descriptors, is_loaded("libhelio") ? "still loaded" : "unloaded");
  return end_kib - warm_kib > bound_kib || end_descriptors != warm_descriptors;
}
