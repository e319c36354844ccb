/* LD_PRELOAD shim: counts what a program asks of the heap and says so when it ends, on standard error:
 *   count_malloc calls=N bytes=N      (calls: malloc, calloc, realloc and the aligned ones; free is not counted)
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static atomic_ulong calls, bytes;

static void *(*next_malloc)(size_t);
static void *(*next_calloc)(size_t, size_t);
static void *(*next_realloc)(void *, size_t);
static void (*next_free)(void *);
static int (*next_posix_memalign)(void **, size_t, size_t);
static void *(*next_aligned_alloc)(size_t, size_t);
static _Thread_local int looking_up;

/* dlsym may itself allocate before we know whom to ask; it gets pieces of this, which are never given back. */
static _Alignas(max_align_t) char early[4096];
static size_t early_used;

static void *early_block(size_t size) {
  size = (size + sizeof(max_align_t) - 1) & ~(sizeof(max_align_t) - 1);
  if (size > sizeof early - early_used) return NULL;
  void *block = early + early_used;
  early_used += size;
  return block;
}

static int is_early(const void *block) {
  return (uintptr_t)block - (uintptr_t)early < sizeof early;
}

/* dlsym gives an object pointer; POSIX promises that its bytes are those of the function pointer. */
#define LOOK_UP(pointer, name)                \
  do {                                        \
    void *symbol = dlsym(RTLD_NEXT, name);    \
    memcpy(&(pointer), &symbol, sizeof symbol); \
  } while (0)

/* The constructor runs before the program has a second thread. */
__attribute__((constructor)) static void look_up(void) {
  if (next_malloc != NULL || looking_up) return;
  looking_up = 1;
  LOOK_UP(next_calloc, "calloc");
  LOOK_UP(next_realloc, "realloc");
  LOOK_UP(next_free, "free");
  LOOK_UP(next_posix_memalign, "posix_memalign");
  LOOK_UP(next_aligned_alloc, "aligned_alloc");
  LOOK_UP(next_malloc, "malloc");
  looking_up = 0;
}

static void count(size_t size) {
  atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed);
  atomic_fetch_add_explicit(&bytes, size, memory_order_relaxed);
}

void *malloc(size_t size) {
  if (next_malloc == NULL) look_up();
  count(size);
  return next_malloc != NULL ? next_malloc(size) : early_block(size);
}

void *calloc(size_t n, size_t size) {
  if (next_malloc == NULL) look_up();
  count(n * size);
  return next_malloc != NULL ? next_calloc(n, size) : early_block(n * size);
}

void *realloc(void *block, size_t size) {
  if (next_malloc == NULL) look_up();
  count(size);
  if (next_malloc != NULL && !is_early(block)) return next_realloc(block, size);
  void *moved = next_malloc != NULL ? next_malloc(size) : early_block(size);
  if (moved != NULL && block != NULL) {
    size_t left = (size_t)(early + sizeof early - (char *)block);
    memcpy(moved, block, size < left ? size : left);
  }
  return moved;
}

void free(void *block) {
  if (block == NULL || is_early(block)) return;
  next_free(block);
}

int posix_memalign(void **out, size_t alignment, size_t size) {
  if (next_malloc == NULL) look_up();
  count(size);
  return next_posix_memalign != NULL ? next_posix_memalign(out, alignment, size) : ENOMEM;
}

void *aligned_alloc(size_t alignment, size_t size) {
  if (next_malloc == NULL) look_up();
  count(size);
  return next_aligned_alloc != NULL ? next_aligned_alloc(alignment, size) : NULL;
}

__attribute__((destructor)) static void report(void) {
  char line[96];
  int n = snprintf(line, sizeof line, "count_malloc calls=%lu bytes=%lu\n",
                   atomic_load_explicit(&calls, memory_order_relaxed),
                   atomic_load_explicit(&bytes, memory_order_relaxed));
  if (n > 0 && write(STDERR_FILENO, line, (size_t)n) < 0) return;
}
