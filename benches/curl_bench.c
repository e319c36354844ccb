/* The peer: libcurl's easy interface, one handle used again and again, so one warm connection. */
#include "curl_answer.h"

struct peer {
  CURL *curl;
  struct curl_answer answer;
};

static size_t take(char *data, size_t size, size_t count, void *context) {
  return curl_answer_take(context, data, size * count);
}

static int once(void *context) {
  struct peer *p = context;
  p->answer.len = 0;
  return !curl_answer_is_right(&p->answer, p->curl, curl_easy_perform(p->curl));
}

int main(int argc, char **argv) {
  struct bench_args args;
  bench_parse(&args, argc, argv, curl_version());
  pin_to_allowed_cpu(1);
  curl_global_init(CURL_GLOBAL_DEFAULT);
  struct curl_slist *headers = curl_request_headers(args.stream);
  struct peer p = {.curl = curl_request(&args, headers), .answer = {.stream = args.stream}};
  curl_easy_setopt(p.curl, CURLOPT_POSTFIELDS, args.body);
  curl_easy_setopt(p.curl, CURLOPT_POSTFIELDSIZE, (long)args.body_len);
  curl_easy_setopt(p.curl, CURLOPT_WRITEFUNCTION, take);
  curl_easy_setopt(p.curl, CURLOPT_WRITEDATA, &p.answer);
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
  free(p.answer.data);
  return code;
}
