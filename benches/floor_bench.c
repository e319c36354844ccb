/* The floor: one send of bytes laid out beforehand, then recv until the answer is over. It reads nothing of the
 * answer but its length field (first answer only) or its last bytes: no client can do less. */
#include "bench.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

struct floor {
  int fd;
  int stream;
  char request[4096];
  size_t request_len;
  size_t expected; /* length of the whole answer, which is always the same; 0: not known yet */
  char tail[5];
};

static int fail(const char *what) {
  perror(what);
  return 1;
}

/* The whole length of a JSON answer whose head is in `data`, or 0. */
static size_t whole_length(const char *data, size_t len) {
  const char *end = memmem(data, len, "\r\n\r\n", 4);
  const char *field = memmem(data, len, "\r\nContent-Length: ", 18);
  if (end == NULL || field == NULL) return 0;
  return (size_t)(end + 4 - data) + strtoul(field + 18, NULL, 10);
}

static int as_expected(struct floor *f, size_t got) {
  if (f->expected == 0) f->expected = got;
  if (f->expected == got) return 0;
  fprintf(stderr, "floor: %zu bytes, expected %zu\n", got, f->expected);
  return 1;
}

static int once(void *context) {
  struct floor *f = context;
  char buffer[16 * 1024]; /* libcurl's default */
  if (send(f->fd, f->request, f->request_len, MSG_NOSIGNAL) != (ssize_t)f->request_len) return fail("floor: send");
  size_t got = 0;
  memset(f->tail, 0, sizeof f->tail);
  for (;;) {
    ssize_t n = recv(f->fd, buffer, sizeof buffer, 0);
    if (n <= 0) return fail("floor: recv");
    got += (size_t)n;
    if (!f->stream) {
      if (f->expected == 0) f->expected = whole_length(buffer, (size_t)n);
      if (f->expected != 0 && got >= f->expected) return as_expected(f, got);
      continue;
    }
    size_t keep = (size_t)n < sizeof f->tail ? (size_t)n : sizeof f->tail;
    memmove(f->tail, f->tail + keep, sizeof f->tail - keep);
    memcpy(f->tail + sizeof f->tail - keep, buffer + n - (ssize_t)keep, keep);
    if (memcmp(f->tail, "0\r\n\r\n", 5) == 0) return as_expected(f, got);
  }
}

int main(int argc, char **argv) {
  struct bench_args args;
  bench_parse(&args, argc, argv, "send and recv");
  pin_to_allowed_cpu(1);
  struct floor f = {.stream = args.stream};
  int n = snprintf(f.request, sizeof f.request,
                   "POST " BENCH_PATH " HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAuthorization: Bearer " BENCH_KEY
                   "\r\nContent-Type: application/json\r\nAccept: %s\r\nUser-Agent: floor\r\nContent-Length: %zu\r\n\r\n%s",
                   args.port, args.stream ? "text/event-stream" : "application/json", args.body_len, args.body);
  f.request_len = (size_t)n;
  struct sockaddr_in address = {
      .sin_family = AF_INET, .sin_port = htons((uint16_t)args.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  f.fd = socket(AF_INET, SOCK_STREAM, 0);
  int on = 1;
  if (f.fd < 0 || connect(f.fd, (struct sockaddr *)&address, sizeof address) != 0) return fail("floor: connect");
  setsockopt(f.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  int code = bench_run("floor", &args, once, &f);
  close(f.fd);
  return code;
}
