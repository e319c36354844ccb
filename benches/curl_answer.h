/* What the peers of libcurl's easy and multi interface share: a request's settings, and what becomes of its answer.
 *
 * A JSON answer is collected into a buffer, as a caller who wants it must; a stream's bytes are counted as they come
 * (libcurl takes the HTTP chunks apart, nobody looks for events in them). */
#ifndef HELIO_BENCH_CURL_ANSWER_H
#define HELIO_BENCH_CURL_ANSWER_H

#include "bench.h"

#include <curl/curl.h>

struct curl_answer {
  int stream;
  char *data;
  size_t len, cap;
  size_t expected; /* length of the first answer; the others must be the same */
  char tail[14];
};

/* Bytes of the body: how many of them were taken, as a write callback says it. */
static inline size_t curl_answer_take(struct curl_answer *a, const char *data, size_t n) {
  if (a->stream) {
    size_t keep = n < sizeof a->tail ? n : sizeof a->tail;
    memmove(a->tail, a->tail + keep, sizeof a->tail - keep);
    memcpy(a->tail + sizeof a->tail - keep, data + n - keep, keep);
  } else {
    if (a->len + n > a->cap) {
      char *bigger = realloc(a->data, (a->len + n) * 2);
      if (bigger == NULL) return 0;
      a->data = bigger;
      a->cap = (a->len + n) * 2;
    }
    memcpy(a->data + a->len, data, n);
  }
  a->len += n;
  return n;
}

/* Whether a transfer that has ended gave what all give. */
static inline int curl_answer_is_right(struct curl_answer *a, CURL *curl, CURLcode code) {
  long status = 0;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
  if (a->expected == 0) a->expected = a->len;
  if (code == CURLE_OK && status == 200 && a->len != 0 && a->len == a->expected &&
      (!a->stream || memcmp(a->tail, "data: [DONE]\n\n", sizeof a->tail) == 0))
    return 1;
  fprintf(stderr, "curl: %s, HTTP %ld, %zu bytes\n", curl_easy_strerror(code), status, a->len);
  return 0;
}

static inline struct curl_slist *curl_request_headers(int stream) {
  struct curl_slist *headers = curl_slist_append(NULL, "Authorization: Bearer " BENCH_KEY);
  headers = curl_slist_append(headers, "Content-Type: application/json");
  headers = curl_slist_append(headers, stream ? "Accept: text/event-stream" : "Accept: application/json");
  return curl_slist_append(headers, "Expect:");
}

/* A handle with everything but its body and its callbacks. */
static inline CURL *curl_request(const struct bench_args *a, struct curl_slist *headers) {
  char url[128];
  CURL *curl = curl_easy_init();
  if (curl == NULL) exit(1);
  bench_url(a, BENCH_PATH, url, sizeof url);
  curl_easy_setopt(curl, CURLOPT_URL, url);
  curl_easy_setopt(curl, CURLOPT_PROXY, "");
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_USERAGENT, "curl_bench");
  curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
  if (a->ca != NULL) curl_easy_setopt(curl, CURLOPT_CAINFO, a->ca);
  return curl;
}

#endif
