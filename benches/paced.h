/* What the clients share that hold many paced streams at once: how soon a chunk is there, what a stream costs in memory,
 * threads and processor time.
 *
 * One stream comes first and runs to its end, so that what is made once is not counted. Then COUNT streams are opened; the server goes
 * on with none of them until all are open. Each chunk's text is the time at which the server sent it (CLOCK_MONOTONIC, nanoseconds), so the
 * client on the same machine knows how long it took.
 *
 *   kib_per_stream   resident memory when all are open and half of their chunks are there, less that after the first stream and the text
 *                    that a client keeps for its answers
 *   cpu_us_per_chunk processor time of the process from when all are open to the end
 *
 * With CHUNKS 0 they are no streams but requests for JSON, sent at once, each answered after a second: what a request costs, from its
 * submission on, and what it takes in memory while it waits.
 */
#ifndef HELIO_BENCH_PACED_H
#define HELIO_BENCH_PACED_H

#include "bench.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>

#define PACED_MAX_SAMPLES 400000
#define PACED_LIMIT_NS (180 * 1000000000ull)
#define PACED_BODY(STREAM, WHAT) \
  "{\"model\":\"bench-model\"," STREAM "\"user\":\"" WHAT "\",\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]}"

static struct paced {
  const char *client;
  long count, chunks; /* chunks of a stream that carry a time; one more ends it */
  atomic_long opened, seen, text, done;
  atomic_size_t samples;
  uint32_t late_ns10[PACED_MAX_SAMPLES]; /* tens of nanoseconds */
  long base_kib, middle_kib, middle_text, most_kib, most_threads;
  uint64_t began_ns, open_ns, open_cpu_ns, look_ns;
  int measuring;
} paced;

static inline long paced_status(const char *name) {
  char line[256];
  long value = 0;
  FILE *f = fopen("/proc/self/status", "r");
  while (f != NULL && fgets(line, sizeof line, f) != NULL)
    if (strncmp(line, name, strlen(name)) == 0) value = atol(line + strlen(name) + 1);
  if (f != NULL) fclose(f);
  return value;
}

static inline const char *paced_body(void) {
  if (paced.chunks == 0) return PACED_BODY("", "json");
  return paced.measuring ? PACED_BODY("\"stream\":true,", "paced") : PACED_BODY("\"stream\":true,", "first");
}

static inline void paced_start(const char *client, const struct bench_args *a) {
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  paced.client = client;
  paced.count = a->count;
  paced.chunks = a->chunks;
  if (getenv("BENCH_BARE") != NULL) paced.look_ns = UINT64_MAX;
  memset(paced.late_ns10, 0, sizeof paced.late_ns10); /* its pages are not part of the measurement */
}

/* A chunk is here. Its text is a time, or nothing in the last one. Any thread. */
static inline void paced_chunk(const char *text, size_t len) {
  if (len > 0 && paced.measuring) {
    uint64_t sent = 0, now = bench_wall_ns();
    for (size_t i = 0; i < len; i++)
      if (text[i] >= '0' && text[i] <= '9') sent = sent * 10 + (uint64_t)(text[i] - '0');
    size_t at = atomic_fetch_add(&paced.samples, 1);
    if (at < PACED_MAX_SAMPLES) paced.late_ns10[at] = (uint32_t)((now - sent) / 10);
    atomic_fetch_add(&paced.text, (long)len);
  }
  if (len > 0) atomic_fetch_add(&paced.seen, 1);
}

/* The first stream is over; the others begin. */
static inline void paced_begin(void) {
  if (paced.done != 1 || paced.seen != paced.chunks) {
    fprintf(stderr, "%s: the first stream: %ld chunks, %ld ended\n", paced.client, (long)paced.seen, (long)paced.done);
    exit(1);
  }
  paced.opened = paced.seen = paced.done = 0;
  paced.base_kib = paced_status("VmRSS");
  paced.began_ns = bench_wall_ns();
  paced.open_cpu_ns = bench_cpu_ns(); /* of requests; streams set it anew */
  paced.measuring = 1;
}

/* Called by the thread that waits, at least ten times a second. 0: go on; 1: all streams have ended. */
static inline int paced_over(void) {
  uint64_t now = bench_wall_ns();
  if (now >= paced.look_ns) {
    long threads = paced_status("Threads");
    long kib = paced_status("VmRSS");
    if (threads > paced.most_threads) paced.most_threads = threads;
    if (kib > paced.most_kib) paced.most_kib = kib;
    paced.look_ns = now + 100000000u;
  }
  if (paced.chunks > 0 && paced.open_ns == 0 && paced.opened >= paced.count) {
    paced.open_ns = now - paced.began_ns;
    paced.open_cpu_ns = bench_cpu_ns();
  }
  if (paced.open_ns != 0 && paced.middle_kib == 0 && paced.seen > paced.count * paced.chunks / 2) {
    paced.middle_kib = paced_status("VmRSS");
    paced.middle_text = paced.text;
  }
  if (now - paced.began_ns > PACED_LIMIT_NS) {
    fprintf(stderr, "%s: %ld of %ld streams ended in time\n", paced.client, (long)paced.done, paced.count);
    exit(1);
  }
  return paced.done >= paced.count;
}

static int paced_compare(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return (x > y) - (x < y);
}

/* Prints the line of results; `keeps_text`: whether the client keeps the text of its answers. Returns the process's exit code. */
static inline int paced_report(int tls, int keeps_text) {
  uint64_t cpu = bench_cpu_ns() - paced.open_cpu_ns;
  if (paced.chunks == 0) {
    printf("client=%s mode=together tls=%d requests=%ld cpu_us_per_request=%.2f kib_per_request=%.2f threads=%ld wall_ms=%.0f\n",
           paced.client, tls, paced.count, (double)cpu / 1e3 / (double)paced.count,
           (double)(paced.most_kib - paced.base_kib) / (double)paced.count, paced.most_threads,
           (double)(bench_wall_ns() - paced.began_ns) / 1e6);
    return paced.done == paced.count ? 0 : 1;
  }
  size_t samples = paced.samples < PACED_MAX_SAMPLES ? paced.samples : PACED_MAX_SAMPLES;
  if (paced.seen != paced.count * paced.chunks || paced.done != paced.count || samples == 0) {
    fprintf(stderr, "%s: %ld chunks of %ld, %ld streams of %ld\n", paced.client, (long)paced.seen,
            paced.count * paced.chunks, (long)paced.done, paced.count);
    return 1;
  }
  qsort(paced.late_ns10, samples, sizeof *paced.late_ns10, paced_compare);
  double kib = (double)(paced.middle_kib - paced.base_kib) - (keeps_text ? (double)paced.middle_text / 1024 : 0);
  printf("client=%s mode=paced tls=%d streams=%ld chunks=%ld p50_us=%.1f p99_us=%.1f cpu_us_per_chunk=%.3f "
         "kib_per_stream=%.2f threads=%ld open_ms=%.0f\n",
         paced.client, tls, paced.count, (long)paced.seen, paced.late_ns10[(samples - 1) / 2] / 100.0,
         paced.late_ns10[(samples * 99 + 99) / 100 - 1] / 100.0, (double)cpu / 1e3 / (double)paced.seen,
         kib / (double)paced.count, paced.most_threads, (double)paced.open_ns / 1e6);
  return 0;
}

#endif
