/* The peer: libcurl's easy interface, one handle used again and again, so one warm connection.
 *
 * A JSON answer is collected into a buffer, as a caller who wants it must; a stream's bytes are counted as they
 * come (libcurl takes the HTTP chunks apart, nobody looks for events in them). */
#include "bench.h"

#include <curl/curl.h>

struct peer {
  CURL *curl;
  int stream;
  char *answer;
  size_t len, cap;
  size_t expected; /* length of the first answer; the others must be the same */
  char tail[14];
};

static size_t take(char *data, size_t size, size_t count, void *context) {
  struct peer *p = context;
  size_t n = size * count;
  if (p->stream) {
    size_t keep = n < sizeof p->tail ? n : sizeof p->tail;
    memmove(p->tail, p->tail + keep, sizeof p->tail - keep);
    memcpy(p->tail + sizeof p->tail - keep, data + n - keep, keep);
  } else {
    if (p->len + n > p->cap) {
      char *bigger = realloc(p->answer, (p->len + n) * 2);
      if (bigger == NULL) return 0;
      p->answer = bigger;
      p->cap = (p->len + n) * 2;
    }
    memcpy(p->answer + p->len, data, n);
  }
  p->len += n;
  return n;
}

static int once(void *context) {
  struct peer *p = context;
  long status = 0;
  p->len = 0;
  CURLcode code = curl_easy_perform(p->curl);
  curl_easy_getinfo(p->curl, CURLINFO_RESPONSE_CODE, &status);
  if (p->expected == 0) p->expected = p->len;
  if (code != CURLE_OK || status != 200 || p->len == 0 || p->len != p->expected ||
      (p->stream && memcmp(p->tail, "data: [DONE]\n\n", sizeof p->tail) != 0)) {
    fprintf(stderr, "curl: %s, HTTP %ld, %zu bytes\n", curl_easy_strerror(code), status, p->len);
    return 1;
  }
  return 0;
}

int main(int argc, char **argv) {
  struct bench_args args;
  bench_parse(&args, argc, argv, curl_version());
  pin_to_allowed_cpu(1);
  curl_global_init(CURL_GLOBAL_DEFAULT);
  struct peer p = {.curl = curl_easy_init(), .stream = args.stream};
  if (p.curl == NULL) return 1;
  char url[128];
  snprintf(url, sizeof url, "http://127.0.0.1:%d" BENCH_PATH, args.port);
  struct curl_slist *headers = NULL;
  headers = curl_slist_append(headers, "Authorization: Bearer " BENCH_KEY);
  headers = curl_slist_append(headers, "Content-Type: application/json");
  headers = curl_slist_append(headers, args.stream ? "Accept: text/event-stream" : "Accept: application/json");
  headers = curl_slist_append(headers, "Expect:");
  curl_easy_setopt(p.curl, CURLOPT_URL, url);
  curl_easy_setopt(p.curl, CURLOPT_PROXY, "");
  curl_easy_setopt(p.curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(p.curl, CURLOPT_USERAGENT, "curl_bench");
  curl_easy_setopt(p.curl, CURLOPT_HTTPHEADER, headers);
  curl_easy_setopt(p.curl, CURLOPT_POSTFIELDS, args.body);
  curl_easy_setopt(p.curl, CURLOPT_POSTFIELDSIZE, (long)args.body_len);
  curl_easy_setopt(p.curl, CURLOPT_WRITEFUNCTION, take);
  curl_easy_setopt(p.curl, CURLOPT_WRITEDATA, &p);
  int code = bench_run("curl", &args, once, &p);
  long connects = 0;
  curl_easy_getinfo(p.curl, CURLINFO_NUM_CONNECTS, &connects);
  if (code == 0 && args.warmup + args.count > 1 && connects != 0) {
    fputs("curl: the connection was not reused\n", stderr);
    code = 1;
  }
  curl_slist_free_all(headers);
  curl_easy_cleanup(p.curl);
  curl_global_cleanup();
  free(p.answer);
  return code;
}
