/* From dlopen to the first answer, in a process that has done nothing before: cold_bench helio|curl LIBRARY PORT.
 * Prints microseconds of wall clock and of processor time. */
#include "bench.h"

#include <dlfcn.h>
#include <unistd.h>

#include "helio.h"

#include <curl/curl.h>

#define BODY "{\"model\":\"bench-model\",\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]}"

/* dlsym gives an object pointer; POSIX promises that its bytes are those of the function pointer. */
#define LOOK_UP(library, name)                                \
  __typeof__(&name) name##_ = NULL;                           \
  do {                                                        \
    void *symbol = dlsym(library, #name);                     \
    if (symbol == NULL) return fputs(#name " is not there\n", stderr), 1; \
    memcpy(&name##_, &symbol, sizeof symbol);                 \
  } while (0)

static int by_helio(void *library, int port) {
  LOOK_UP(library, helio_client_options_init);
  LOOK_UP(library, helio_client_create);
  LOOK_UP(library, helio_complete);
  LOOK_UP(library, helio_buffer_size);
  char config[256];
  snprintf(config, sizeof config, "{\"base_url\":\"http://127.0.0.1:%d/v1\",\"api_key\":\"" BENCH_KEY "\"}", port);
  helio_client_options options;
  helio_client *client;
  helio_buffer *answer = NULL;
  helio_client_options_init_(&options, sizeof options);
  options.config = config;
  return helio_client_create_(&options, &client, NULL) != HELIO_OK ||
         helio_complete_(client, BODY, HELIO_STRLEN, NULL, &answer, NULL) != HELIO_OK || helio_buffer_size_(answer) < 1000;
}

static size_t take(char *data, size_t size, size_t count, void *context) {
  (void)data;
  *(size_t *)context += size * count;
  return size * count;
}

static int by_curl(void *library, int port) {
  LOOK_UP(library, curl_global_init);
  LOOK_UP(library, curl_easy_init);
  LOOK_UP(library, curl_easy_setopt);
  LOOK_UP(library, curl_easy_perform);
  LOOK_UP(library, curl_slist_append);
  char url[128];
  size_t len = 0;
  snprintf(url, sizeof url, "http://127.0.0.1:%d" BENCH_PATH, port);
  if (curl_global_init_(CURL_GLOBAL_DEFAULT) != CURLE_OK) return 1;
  CURL *curl = curl_easy_init_();
  struct curl_slist *headers = curl_slist_append_(NULL, "Authorization: Bearer " BENCH_KEY);
  headers = curl_slist_append_(headers, "Content-Type: application/json");
  curl_easy_setopt_(curl, CURLOPT_URL, url);
  curl_easy_setopt_(curl, CURLOPT_PROXY, "");
  curl_easy_setopt_(curl, CURLOPT_HTTPHEADER, headers);
  curl_easy_setopt_(curl, CURLOPT_POSTFIELDS, BODY);
  curl_easy_setopt_(curl, CURLOPT_WRITEFUNCTION, take);
  curl_easy_setopt_(curl, CURLOPT_WRITEDATA, &len);
  return curl_easy_perform_(curl) != CURLE_OK || len < 1000;
}

int main(int argc, char **argv) {
  if (argc != 4) return fputs("usage: cold_bench helio|curl LIBRARY PORT\n", stderr), 2;
  pin_to_allowed_cpu(1);
  uint64_t cpu = bench_cpu_ns(), wall = bench_wall_ns();
  void *library = dlopen(argv[2], RTLD_NOW);
  if (library == NULL) return fprintf(stderr, "%s\n", dlerror()), 1;
  int failed = (strcmp(argv[1], "helio") == 0 ? by_helio : by_curl)(library, atoi(argv[3]));
  wall = bench_wall_ns() - wall;
  cpu = bench_cpu_ns() - cpu;
  if (failed) return fprintf(stderr, "%s: no answer\n", argv[1]), 1;
  printf("client=%s mode=cold wall_us=%.0f cpu_us=%.0f\n", argv[1], (double)wall / 1e3, (double)cpu / 1e3);
  fflush(stdout);
  _exit(0); /* how it ends is not measured */
}
