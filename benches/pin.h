/* Server and client each get a core of their own, where the system has two to give. */
#ifndef HELIO_BENCH_PIN_H
#define HELIO_BENCH_PIN_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include <sched.h>

/* Threads started later inherit this, so a library's own threads are measured on the same core. */
static void pin_to_allowed_cpu(int nth) {
  cpu_set_t allowed, one;
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0 || CPU_COUNT(&allowed) < 2) return;
  for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
    if (CPU_ISSET(cpu, &allowed) && nth-- == 0) {
      CPU_ZERO(&one);
      CPU_SET(cpu, &one);
      sched_setaffinity(0, sizeof one, &one);
      return;
    }
}

#endif
