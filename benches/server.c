/* The loopback server of the benchmark: one thread, one epoll, no work worth mentioning.
 *
 * It listens on 127.0.0.1 on a port the system chooses, prints that port, and ends when its standard input
 * does; so it cannot outlive the script that started it. Every POST is answered and the connection kept:
 *
 *   "stream": true   a head, then "max_tokens" chunk events, a finish chunk, a usage chunk and [DONE], each event
 *                    in an HTTP chunk of its own, as fast as the socket takes them; with OpenAI's "obfuscation", or,
 *                    if the request says "include_obfuscation": false, without
 *   anything else    one chat.completion of about 1.2 KB
 *
 * All bytes are laid out once at the start. `server --show` copies the first request it gets to standard error.
 */
#include "pin.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define CHUNKS_PER_BLOCK 1024 /* content chunks laid out one behind the other, about 320 KB */
#define EVENT_BYTES 320 /* one event with its blank line, where "obfuscation" pads it */
#define MAX_CHUNKS 10000000L
#define MAX_REQUEST (256 * 1024)
#define MAX_CONNECTIONS 256

static const char *const COMMON_HEAD =
    "Server: bench\r\n"
    "Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
    "Connection: keep-alive\r\n"
    "access-control-expose-headers: X-Request-ID\r\n"
    "openai-organization: org-benchmark\r\n"
    "openai-processing-ms: 412\r\n"
    "openai-version: 2020-10-01\r\n"
    "x-envoy-upstream-service-time: 415\r\n"
    "x-ratelimit-limit-requests: 10000\r\n"
    "x-ratelimit-limit-tokens: 2000000\r\n"
    "x-ratelimit-remaining-requests: 9999\r\n"
    "x-ratelimit-remaining-tokens: 1999975\r\n"
    "x-ratelimit-reset-requests: 6ms\r\n"
    "x-ratelimit-reset-tokens: 0s\r\n"
    "x-request-id: req_0123456789abcdef0123456789abcdef\r\n";

#define CHUNK_OPEN                                                                                      \
  "data: {\"id\":\"chatcmpl-C0123456789abcdefghijklmnopqr\",\"object\":\"chat.completion.chunk\","       \
  "\"created\":1767225600,\"model\":\"bench-model\",\"service_tier\":\"default\","                       \
  "\"system_fingerprint\":\"fp_0123456789\","

/* What tokens look like inside JSON: short words, a few escapes, a little beyond ASCII. */
static const char *const TOKENS[] = {
    "The",     " sea",   " is",      " calm",   ",",          " and", " the", " light", " of",    " morning",
    " moves",  " over",  " it",      ".",       "\\n\\n",     "It",   " is",  " not",   " yet",   " day",
    ",",       " but",   " birds",   " have",   " begun",     ":",    " \\\"", "here",  "\\\"",   " they",
    " say",    ",",      " \\\"",    "here",    ".\\\"",      "\\n",  "-",    " caf\xc3\xa9", " \xe6\xb5\xb7",
    " \\u00fc", "ber",   " understanding", " 1", "9",         "8",    "4",    "\\t",    "if",     " (",
    "x",       " <",     " y",       ")",       " {",         "\\n",  " return", " x",  ";",      "\\n",
    "}",       " done",  " and",     " on",     "."};
#define TOKEN_COUNT (sizeof TOKENS / sizeof TOKENS[0])

struct bytes {
  char *data;
  size_t len, cap;
};

static struct bytes json_answer; /* head and body */

struct stream {
  int obfuscated;
  struct bytes head;  /* head and the role chunk */
  struct bytes block; /* CHUNKS_PER_BLOCK content chunks */
  size_t block_offset[CHUNKS_PER_BLOCK + 1];
  struct bytes tail; /* finish, usage, [DONE], the last HTTP chunk */
};
static struct stream padded = {.obfuscated = 1}, plain;

enum phase { IDLE, JSON, HEAD, CONTENT, TAIL };

struct connection {
  int fd;
  enum phase phase;
  const struct stream *stream;
  const char *out; /* what of the current piece is still to be sent */
  size_t out_len;
  long chunks_left;
  size_t in_len;
  char in[MAX_REQUEST + 1];
};

static void die(const char *what) {
  perror(what);
  exit(1);
}

static void add(struct bytes *b, const char *data, size_t len) {
  if (b->len + len > b->cap) {
    b->cap = (b->len + len) * 2;
    b->data = realloc(b->data, b->cap);
    if (b->data == NULL) die("server: realloc");
  }
  memcpy(b->data + b->len, data, len);
  b->len += len;
}

__attribute__((format(printf, 2, 3))) static void addf(struct bytes *b, const char *format, ...) {
  char line[4096];
  va_list args;
  va_start(args, format);
  int n = vsnprintf(line, sizeof line, format, args);
  va_end(args);
  if (n < 0 || (size_t)n >= sizeof line) {
    fputs("server: a prepared line is too long\n", stderr);
    exit(1);
  }
  add(b, line, (size_t)n);
}

static void add_http_chunk(struct bytes *b, const char *data, size_t len) {
  addf(b, "%zx\r\n", len);
  add(b, data, len);
  add(b, "\r\n", 2);
}

/* One event in an HTTP chunk of its own: a chunk object with these choices and usage. As with OpenAI, the padding
 * differs from event to event: what a client remembers of the last one does not help it over the end of the next.
 * It fills up to EVENT_BYTES. */
static void add_event(struct bytes *b, int obfuscated, const char *choices, const char *usage) {
  static const char padding[] = "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7cF0eR5tY8uI3oP6lJ1hG4fD7sA2zX9xC0vB5nM8qW";
  static unsigned turn;
  char event[1024], member[128] = "";
  for (int pass = 0; pass < 2; pass++) {
    int n = snprintf(event, sizeof event, CHUNK_OPEN "\"choices\":[%s],\"usage\":%s%s}\n\n", choices, usage, member);
    if (!obfuscated || pass == 1) {
      add_http_chunk(b, event, (size_t)n);
      return;
    }
    int pad = EVENT_BYTES - n - (int)strlen(",\"obfuscation\":\"\"");
    if (pad < 1) pad = 1;
    if (pad > (int)sizeof padding / 2) pad = (int)sizeof padding / 2;
    turn = (turn + 1) % (sizeof padding / 2);
    snprintf(member, sizeof member, ",\"obfuscation\":\"%.*s\"", pad, padding + turn);
  }
}

static void prepare_stream(struct stream *s) {
  char choice[256];
  addf(&s->head,
       "HTTP/1.1 200 OK\r\n%sContent-Type: text/event-stream; charset=utf-8\r\nCache-Control: no-cache\r\n"
       "Transfer-Encoding: chunked\r\n\r\n",
       COMMON_HEAD);
  add_event(&s->head, s->obfuscated,
            "{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null},\"logprobs\":null,"
            "\"finish_reason\":null}",
            "null");
  for (int i = 0; i < CHUNKS_PER_BLOCK; i++) {
    s->block_offset[i] = s->block.len;
    snprintf(choice, sizeof choice,
             "{\"index\":0,\"delta\":{\"content\":\"%s\"},\"logprobs\":null,\"finish_reason\":null}",
             TOKENS[(size_t)i % TOKEN_COUNT]);
    add_event(&s->block, s->obfuscated, choice, "null");
  }
  s->block_offset[CHUNKS_PER_BLOCK] = s->block.len;
  add_event(&s->tail, s->obfuscated, "{\"index\":0,\"delta\":{},\"logprobs\":null,\"finish_reason\":\"stop\"}", "null");
  add_event(&s->tail, s->obfuscated, "",
            "{\"prompt_tokens\":61,\"completion_tokens\":1000,\"total_tokens\":1061,\"prompt_tokens_details\":"
            "{\"cached_tokens\":0,\"audio_tokens\":0},\"completion_tokens_details\":{\"reasoning_tokens\":0,"
            "\"audio_tokens\":0}}");
  add_http_chunk(&s->tail, "data: [DONE]\n\n", 14);
  addf(&s->tail, "0\r\n\r\n");
}

static void prepare(void) {
  struct bytes body = {0};
  addf(&body,
       "{\n  \"id\": \"chatcmpl-C0123456789abcdefghijklmnopqr\",\n  \"object\": \"chat.completion\",\n"
       "  \"created\": 1767225600,\n  \"model\": \"bench-model\",\n  \"choices\": [\n    {\n      \"index\": 0,\n"
       "      \"message\": {\n        \"role\": \"assistant\",\n        \"content\": \"");
  for (int i = 0; i < 4; i++)
    addf(&body, "The sea is calm, and the light of morning moves over it.\\n\\nIt is not yet day, but birds have begun. ");
  addf(&body,
       "\",\n        \"refusal\": null,\n        \"annotations\": []\n      },\n      \"logprobs\": null,\n"
       "      \"finish_reason\": \"stop\"\n    }\n  ],\n  \"usage\": {\n    \"prompt_tokens\": 61,\n"
       "    \"completion_tokens\": 96,\n    \"total_tokens\": 157,\n    \"prompt_tokens_details\": {\n"
       "      \"cached_tokens\": 0,\n      \"audio_tokens\": 0\n    },\n    \"completion_tokens_details\": {\n"
       "      \"reasoning_tokens\": 0,\n      \"audio_tokens\": 0,\n      \"accepted_prediction_tokens\": 0,\n"
       "      \"rejected_prediction_tokens\": 0\n    }\n  },\n  \"service_tier\": \"default\",\n"
       "  \"system_fingerprint\": \"fp_0123456789\"\n}\n");
  addf(&json_answer, "HTTP/1.1 200 OK\r\n%sContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
       COMMON_HEAD, body.len);
  add(&json_answer, body.data, body.len);
  free(body.data);
  prepare_stream(&padded);
  prepare_stream(&plain);
}

/* Where the value of `key` begins, or NULL. A plain search: the bodies are our own. */
static const char *json_value(const char *body, const char *key) {
  char quoted[64];
  int n = snprintf(quoted, sizeof quoted, "\"%s\"", key);
  const char *at = strstr(body, quoted);
  if (at == NULL) return NULL;
  at += n;
  at += strspn(at, " \t\r\n");
  if (*at != ':') return NULL;
  at++;
  return at + strspn(at, " \t\r\n");
}

static void begin_answer(struct connection *c, const char *body) {
  const char *stream = json_value(body, "stream");
  if (stream == NULL || strncmp(stream, "true", 4) != 0) {
    c->phase = JSON;
    c->out = json_answer.data;
    c->out_len = json_answer.len;
    return;
  }
  const char *wanted = json_value(body, "max_tokens");
  long chunks = wanted != NULL ? strtol(wanted, NULL, 10) : 100;
  if (chunks < 0) chunks = 0;
  if (chunks > MAX_CHUNKS) chunks = MAX_CHUNKS;
  const char *obfuscation = json_value(body, "include_obfuscation");
  c->stream = obfuscation != NULL && strncmp(obfuscation, "false", 5) == 0 ? &plain : &padded;
  c->chunks_left = chunks;
  c->phase = HEAD;
  c->out = c->stream->head.data;
  c->out_len = c->stream->head.len;
}

static void next_piece(struct connection *c) {
  switch (c->phase) {
  case HEAD:
  case CONTENT:
    if (c->chunks_left > 0) {
      long n = c->chunks_left < CHUNKS_PER_BLOCK ? c->chunks_left : CHUNKS_PER_BLOCK;
      c->chunks_left -= n;
      c->phase = CONTENT;
      c->out = c->stream->block.data;
      c->out_len = c->stream->block_offset[n];
    } else {
      c->phase = TAIL;
      c->out = c->stream->tail.data;
      c->out_len = c->stream->tail.len;
    }
    break;
  default:
    c->phase = IDLE;
  }
}

/* Sends until the answer or the socket's room is used up. 0: the connection is gone. */
static int send_on(struct connection *c) {
  while (c->phase != IDLE) {
    if (c->out_len == 0) {
      next_piece(c);
      continue;
    }
    ssize_t n = send(c->fd, c->out, c->out_len, MSG_NOSIGNAL);
    if (n < 0) return errno == EAGAIN || errno == EINTR;
    c->out += n;
    c->out_len -= (size_t)n;
  }
  return 1;
}

/* Takes one whole request off the input and begins its answer. 1: taken, 0: more bytes are needed, -1: not one we
 * serve. */
static int take_request(struct connection *c, int *show) {
  c->in[c->in_len] = '\0';
  char *head_end = strstr(c->in, "\r\n\r\n");
  if (head_end == NULL) return c->in_len < MAX_REQUEST ? 0 : -1;
  char *body = head_end + 4;
  size_t head_len = (size_t)(body - c->in), body_len = 0;
  if (strncmp(c->in, "POST ", 5) != 0) return -1;
  for (char *line = strstr(c->in, "\r\n"); line != NULL && line < head_end; line = strstr(line + 2, "\r\n"))
    if (strncasecmp(line + 2, "content-length:", 15) == 0) body_len = strtoul(line + 17, NULL, 10);
  if (body_len > MAX_REQUEST - head_len) return -1;
  if (c->in_len < head_len + body_len) return 0;
  if (*show) {
    fwrite(c->in, 1, head_len + body_len, stderr);
    fputc('\n', stderr);
    *show = 0;
  }
  char after = body[body_len];
  body[body_len] = '\0';
  begin_answer(c, body);
  body[body_len] = after;
  c->in_len -= head_len + body_len;
  memmove(c->in, body + body_len, c->in_len);
  return 1;
}

/* 0: the connection is gone. */
static int serve(struct connection *c, int *show) {
  for (;;) {
    if (!send_on(c)) return 0;
    if (c->phase == IDLE) {
      int taken = take_request(c, show);
      if (taken < 0) return 0;
      if (taken > 0) continue;
    }
    if (c->in_len == MAX_REQUEST) return 0;
    ssize_t n = recv(c->fd, c->in + c->in_len, MAX_REQUEST - c->in_len, 0);
    if (n == 0) return 0;
    if (n < 0) {
      if (errno == EINTR) continue;
      return errno == EAGAIN;
    }
    c->in_len += (size_t)n;
  }
}

int main(int argc, char **argv) {
  int show = argc > 1 && strcmp(argv[1], "--show") == 0;
  signal(SIGPIPE, SIG_IGN);
  pin_to_allowed_cpu(0);
  prepare();

  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t address_len = sizeof address;
  if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) != 0 ||
      listen(listener, 64) != 0 || getsockname(listener, (struct sockaddr *)&address, &address_len) != 0)
    die("server: listen on 127.0.0.1");

  int poller = epoll_create1(EPOLL_CLOEXEC);
  if (poller < 0) die("server: epoll_create1");
  static char stdin_tag, listener_tag;
  struct epoll_event e = {.events = EPOLLIN, .data.ptr = &listener_tag};
  if (epoll_ctl(poller, EPOLL_CTL_ADD, listener, &e) != 0) die("server: epoll_ctl");
  e.data.ptr = &stdin_tag;
  if (epoll_ctl(poller, EPOLL_CTL_ADD, STDIN_FILENO, &e) != 0) {
    fputs("server: standard input must be a pipe or a terminal; the server ends with it\n", stderr);
    return 1;
  }

  printf("%d\n", ntohs(address.sin_port));
  fflush(stdout);

  int open_connections = 0;
  for (;;) {
    struct epoll_event events[64];
    int n = epoll_wait(poller, events, 64, -1);
    if (n < 0 && errno != EINTR) die("server: epoll_wait");
    for (int i = 0; i < n; i++) {
      if (events[i].data.ptr == &stdin_tag) {
        char sink[256];
        if (read(STDIN_FILENO, sink, sizeof sink) <= 0) return 0;
      } else if (events[i].data.ptr == &listener_tag) {
        int fd;
        while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
          struct connection *c = open_connections < MAX_CONNECTIONS ? malloc(sizeof *c) : NULL;
          if (c == NULL) {
            close(fd);
            continue;
          }
          c->fd = fd;
          c->phase = IDLE;
          c->out_len = c->in_len = 0;
          open_connections++;
          int on = 1;
          setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
          struct epoll_event watch = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = c};
          if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &watch) != 0) die("server: epoll_ctl");
        }
      } else {
        struct connection *c = events[i].data.ptr;
        if (!serve(c, &show)) {
          close(c->fd);
          free(c);
          open_connections--;
        }
      }
    }
  }
}
