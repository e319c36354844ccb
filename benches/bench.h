/* What the clients in C share: the command line, the request, the clock, the one line of results.
 *
 *   CLIENT PORT requests COUNT WARMUP
 *   CLIENT PORT stream|plain COUNT WARMUP CHUNKS
 *   CLIENT PORT paced COUNT 1 CHUNKS        many streams at once: see paced.h
 *   CLIENT --version
 *
 * COUNT requests (or streams of CHUNKS chunks each) are measured, after WARMUP unmeasured ones, all on one
 * connection. A plain stream is one without OpenAI's "obfuscation". CPU is that of the whole process, every thread, user and system. BENCH_MAX_SECONDS (default 60) ends a run
 * early; the line then says cut=1 and counts what was done. BENCH_BARE=1 leaves out the clock reading and sorting for the
 * percentiles, and what is read of /proc meanwhile, for runs whose instructions or allocations are counted.
 */
#ifndef HELIO_BENCH_BENCH_H
#define HELIO_BENCH_BENCH_H

#include "pin.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define BENCH_KEY "bench-key-0123456789abcdef0123456789abcdef"
#define BENCH_PATH "/v1/chat/completions"
#define BENCH_MAX_COUNT 1000000L
/* Chunks besides those asked for: the role chunk before, finish and usage after. */
#define BENCH_EXTRA_CHUNKS 3

struct bench_args {
  int port;
  int stream, paced;
  const char *mode;
  const char *ca; /* BENCH_CA: a file with the certificate of a server that speaks TLS, or NULL */
  long count, warmup, chunks;
  char body[2048]; /* the request, the same bytes for every client */
  size_t body_len;
};

/* One request, answered and checked: 0, or else the run is over. */
typedef int (*bench_once)(void *context);

static inline uint64_t bench_wall_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static inline uint64_t bench_cpu_ns(void) {
  struct rusage u;
  getrusage(RUSAGE_SELF, &u);
  return ((uint64_t)u.ru_utime.tv_sec + (uint64_t)u.ru_stime.tv_sec) * 1000000000u +
         ((uint64_t)u.ru_utime.tv_usec + (uint64_t)u.ru_stime.tv_usec) * 1000u;
}

static inline void bench_parse(struct bench_args *a, int argc, char **argv, const char *version) {
  memset(a, 0, sizeof *a);
  if (argc == 2 && strcmp(argv[1], "--version") == 0) {
    puts(version);
    exit(0);
  }
  if (argc >= 5) {
    a->port = atoi(argv[1]);
    a->mode = argv[2];
    a->paced = strcmp(argv[2], "paced") == 0;
    a->stream = a->paced || strcmp(argv[2], "stream") == 0 || strcmp(argv[2], "plain") == 0;
    a->ca = getenv("BENCH_CA");
    a->count = atol(argv[3]);
    a->warmup = atol(argv[4]);
    a->chunks = argc > 5 ? atol(argv[5]) : 0;
  }
  if (a->port <= 0 || a->count <= 0 || a->count > BENCH_MAX_COUNT || a->warmup < 0 ||
      (a->paced ? a->chunks < 0 : a->stream ? a->chunks <= 0 : strcmp(argv[2], "requests") != 0)) {
    fprintf(stderr, "usage: %s PORT requests COUNT WARMUP | PORT stream|plain|paced COUNT WARMUP CHUNKS | --version\n", argv[0]);
    exit(2);
  }
  int n = snprintf(a->body, sizeof a->body,
                   "{\"model\":\"bench-model\",\"messages\":[{\"role\":\"system\",\"content\":\"You are a careful "
                   "assistant. Answer in plain words, in at most three short paragraphs, and say so when you do not "
                   "know.\"},{\"role\":\"user\",\"content\":\"Describe the sea at dawn.\\nMention the light, the "
                   "birds and the cold, and end with a question.\"}],\"temperature\":0.7,\"max_tokens\":%ld%s}",
                   a->stream ? a->chunks : 256L,
                   !a->stream                      ? ""
                   : strcmp(a->mode, "plain") == 0 ? ",\"stream\":true,\"stream_options\":{\"include_usage\":true,"
                                                     "\"include_obfuscation\":false}"
                                                   : ",\"stream\":true,\"stream_options\":{\"include_usage\":true}");
  a->body_len = (size_t)n;
}

static int bench_compare(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return (x > y) - (x < y);
}

static inline void bench_url(const struct bench_args *a, const char *path, char *out, size_t size) {
  snprintf(out, size, "%s://127.0.0.1:%d%s", a->ca != NULL ? "https" : "http", a->port, path);
}

/* Warm up, measure, print. Returns the process's exit code. */
static inline int bench_run(const char *name, const struct bench_args *a, bench_once once, void *context) {
  const char *limit = getenv("BENCH_MAX_SECONDS");
  uint64_t max_ns = (uint64_t)(limit != NULL && atoi(limit) > 0 ? atoi(limit) : 60) * 1000000000u;
  static uint64_t wall[BENCH_MAX_COUNT];             /* not from the heap, which is counted */
  memset(wall, 0, (size_t)a->count * sizeof *wall); /* its page faults are not part of the measurement */
  for (long i = 0; i < a->warmup; i++)
    if (once(context) != 0) return 1;

  int bare = getenv("BENCH_BARE") != NULL;
  long done = 0;
  uint64_t cpu = bench_cpu_ns(), start = bench_wall_ns(), now = start;
  while (done < a->count && now - start < max_ns) {
    uint64_t before = now;
    if (once(context) != 0) return 1;
    if (!bare) now = bench_wall_ns();
    wall[done++] = now - before;
  }
  cpu = bench_cpu_ns() - cpu;

  if (!bare) qsort(wall, (size_t)done, sizeof *wall, bench_compare);
  double ops = a->stream ? (double)done * (double)(a->chunks + BENCH_EXTRA_CHUNKS) : (double)done;
  printf("client=%s mode=%s count=%ld ops=%.0f cpu_ns_per_op=%.1f wall_p50_us=%.1f wall_p99_us=%.1f cut=%d\n", name,
         a->mode, done, ops, (double)cpu / ops, (double)wall[(done - 1) / 2] / 1e3,
         (double)wall[(done * 99 + 99) / 100 - 1] / 1e3, done < a->count);
  return 0;
}

#endif
