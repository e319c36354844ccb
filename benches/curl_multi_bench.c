/* libcurl's multi interface, driven as its documentation drives it: CURL_INTERFACE=poll (the default: curl_multi_poll
 * and curl_multi_perform, which look at every transfer each time) or socket (curl_multi_socket_action behind an epoll
 * of our own, which looks at those that have something to say).
 *
 * With paced streams the time of each chunk is looked for in the bytes. */
#include "curl_answer.h"
#include "paced.h"

#include <sys/epoll.h>
#include <unistd.h>

struct transfer {
  CURL *curl;
  struct peer *peer;
  struct curl_answer answer;
  int opened;
};

struct peer {
  const struct bench_args *args;
  CURLM *multi;
  int by_socket, poller, running;
  uint64_t timer_ns; /* when libcurl wants to be called, 0: not */
  long ended;
  struct curl_slist *headers;
  struct transfer *transfers;
};

static void paced_bytes(const char *data, size_t n) {
  static const char opening[] = "\"content\":\"";
  const char *end = data + n;
  for (const char *at = data; (at = memmem(at, (size_t)(end - at), opening, sizeof opening - 1)) != NULL;) {
    at += sizeof opening - 1;
    const char *quote = memchr(at, '"', (size_t)(end - at));
    if (quote == NULL) return; /* a chunk in two pieces: its time would be missed, and paced_report would say so */
    paced_chunk(at, (size_t)(quote - at));
    at = quote;
  }
}

static size_t take(char *data, size_t size, size_t count, void *context) {
  struct transfer *t = context;
  if (t->peer->args->paced && t->answer.stream) paced_bytes(data, size * count);
  return curl_answer_take(&t->answer, data, size * count);
}

static size_t take_head(char *data, size_t size, size_t count, void *context) {
  struct transfer *t = context;
  if (t->peer->args->paced && !t->opened && size * count == 2 && data[0] == '\r') {
    t->opened = 1;
    atomic_fetch_add(&paced.opened, 1);
  }
  return size * count;
}

static int socket_changed(CURL *curl, curl_socket_t fd, int what, void *context, void *known) {
  (void)curl;
  struct peer *p = context;
  struct epoll_event e = {.data.fd = fd};
  if (what == CURL_POLL_REMOVE) {
    epoll_ctl(p->poller, EPOLL_CTL_DEL, fd, &e);
    curl_multi_assign(p->multi, fd, NULL);
    return 0;
  }
  if (what & CURL_POLL_IN) e.events |= EPOLLIN;
  if (what & CURL_POLL_OUT) e.events |= EPOLLOUT;
  epoll_ctl(p->poller, known != NULL ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &e);
  curl_multi_assign(p->multi, fd, p);
  return 0;
}

static int timer_changed(CURLM *multi, long timeout_ms, void *context) {
  (void)multi;
  ((struct peer *)context)->timer_ns = timeout_ms < 0 ? 0 : bench_wall_ns() + (uint64_t)timeout_ms * 1000000u;
  return 0;
}

static void start(struct peer *p, struct transfer *t, const char *body, size_t body_len) {
  t->peer = p;
  t->answer.stream = p->args->stream && !(p->args->paced && p->args->chunks == 0);
  t->answer.len = 0;
  if (t->curl == NULL) {
    t->curl = curl_request(p->args, p->headers);
    curl_easy_setopt(t->curl, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(t->curl, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(t->curl, CURLOPT_HEADERFUNCTION, take_head);
    curl_easy_setopt(t->curl, CURLOPT_HEADERDATA, t);
    curl_easy_setopt(t->curl, CURLOPT_PRIVATE, t);
  }
  curl_easy_setopt(t->curl, CURLOPT_POSTFIELDS, body);
  curl_easy_setopt(t->curl, CURLOPT_POSTFIELDSIZE, (long)body_len);
  if (curl_multi_add_handle(p->multi, t->curl) != CURLM_OK) exit(1);
}

/* One turn of the loop: what is there is read; waits at most so long for it. */
static void turn(struct peer *p, int timeout_ms) {
  if (p->by_socket) {
    uint64_t now = bench_wall_ns();
    int until_timer = p->timer_ns == 0 ? timeout_ms : p->timer_ns <= now ? 0 : (int)((p->timer_ns - now) / 1000000u) + 1;
    struct epoll_event events[64];
    int n = epoll_wait(p->poller, events, 64, until_timer < timeout_ms ? until_timer : timeout_ms);
    for (int i = 0; i < n; i++) {
      int what = (events[i].events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
                 (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR) ? CURL_CSELECT_IN : 0);
      curl_multi_socket_action(p->multi, events[i].data.fd, what, &p->running);
    }
    if (p->timer_ns != 0 && p->timer_ns <= bench_wall_ns()) {
      p->timer_ns = 0;
      curl_multi_socket_action(p->multi, CURL_SOCKET_TIMEOUT, 0, &p->running);
    }
  } else {
    curl_multi_perform(p->multi, &p->running);
    if (timeout_ms > 0 && p->running > 0) curl_multi_poll(p->multi, NULL, 0, timeout_ms, NULL);
    curl_multi_perform(p->multi, &p->running);
  }
  CURLMsg *message;
  int left;
  while ((message = curl_multi_info_read(p->multi, &left)) != NULL) {
    struct transfer *t;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&t);
    CURLcode code = message->data.result;
    curl_multi_remove_handle(p->multi, message->easy_handle);
    if (!curl_answer_is_right(&t->answer, t->curl, code)) exit(1);
    p->ended++;
    atomic_fetch_add(&paced.done, 1);
  }
}

static int once(void *context) {
  struct peer *p = context;
  long before = p->ended;
  start(p, p->transfers, p->args->body, p->args->body_len);
  while (p->ended == before) turn(p, 1000);
  return 0;
}

static int run_paced(struct peer *p, const char *name) {
  const struct bench_args *a = p->args;
  paced_start(name, a);
  start(p, &p->transfers[a->count], paced_body(), strlen(paced_body()));
  while (paced.done == 0) turn(p, 100);
  paced_begin();
  for (long i = 0; i < a->count; i++) {
    start(p, &p->transfers[i], paced_body(), strlen(paced_body()));
    turn(p, 0);
  }
  while (!paced_over()) turn(p, 100);
  return paced_report(a->ca != NULL, 0);
}

int main(int argc, char **argv) {
  struct bench_args args;
  bench_parse(&args, argc, argv, curl_version());
  pin_to_allowed_cpu(1);
  const char *interface = getenv("CURL_INTERFACE");
  struct peer p = {.args = &args, .by_socket = interface != NULL && strcmp(interface, "socket") == 0};
  curl_global_init(CURL_GLOBAL_DEFAULT);
  p.multi = curl_multi_init();
  p.transfers = calloc((size_t)(args.paced ? args.count + 1 : 1), sizeof *p.transfers);
  p.poller = epoll_create1(EPOLL_CLOEXEC);
  if (p.multi == NULL || p.transfers == NULL || p.poller < 0) return 1;
  curl_multi_setopt(p.multi, CURLMOPT_MAXCONNECTS, args.paced ? args.count + 1 : 4L);
  if (p.by_socket) {
    curl_multi_setopt(p.multi, CURLMOPT_SOCKETFUNCTION, socket_changed);
    curl_multi_setopt(p.multi, CURLMOPT_SOCKETDATA, &p);
    curl_multi_setopt(p.multi, CURLMOPT_TIMERFUNCTION, timer_changed);
    curl_multi_setopt(p.multi, CURLMOPT_TIMERDATA, &p);
  }
  p.headers = curl_request_headers(args.stream);
  const char *name = p.by_socket ? "curl_socket" : "curl_multi";
  int code = args.paced ? run_paced(&p, name) : bench_run(name, &args, once, &p);
  for (long i = 0; i <= (args.paced ? args.count : 0); i++) {
    curl_easy_cleanup(p.transfers[i].curl);
    free(p.transfers[i].answer.data);
  }
  curl_multi_cleanup(p.multi);
  curl_slist_free_all(p.headers);
  curl_global_cleanup();
  free(p.transfers);
  return code;
}
