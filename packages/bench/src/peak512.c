/*
 * The multiply-add peak in vectors of 512 bits, which no WebAssembly has: the loop of peak.ts in C, on so many
 * threads. Called with their number; answers the lines of peers/process.ts.
 */
#include <stdio.h>

#if defined(__x86_64__)
#include <immintrin.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

enum { ACCUMULATORS = 12, ITERATIONS = 4000000, MOST_THREADS = 256 };

__attribute__((target("avx512f"))) static void *loop(void *result) {
  __m512 a[ACCUMULATORS];
  const __m512 x = _mm512_set1_ps(0.5f), y = _mm512_set1_ps(0.25f);
  for (int i = 0; i < ACCUMULATORS; i++) a[i] = _mm512_set1_ps((float)i);
  for (int n = 0; n < ITERATIONS; n++) {
#pragma GCC unroll 12
    for (int i = 0; i < ACCUMULATORS; i++) a[i] = _mm512_fmadd_ps(x, y, a[i]);
  }
  for (int i = 1; i < ACCUMULATORS; i++) a[0] = _mm512_add_ps(a[0], a[i]);
  _mm512_storeu_ps(result, a[0]);
  return NULL;
}

static double milliseconds(int threads) {
  static float results[MOST_THREADS][16];
  pthread_t others[MOST_THREADS];
  struct timespec start, end;
  clock_gettime(CLOCK_MONOTONIC, &start);
  for (int i = 1; i < threads; i++) pthread_create(&others[i], NULL, loop, results[i]);
  loop(results[0]);
  for (int i = 1; i < threads; i++) pthread_join(others[i], NULL);
  clock_gettime(CLOCK_MONOTONIC, &end);
  return 1e3 * (double)(end.tv_sec - start.tv_sec) + 1e-6 * (double)(end.tv_nsec - start.tv_nsec);
}

int main(int count, char **arguments) {
  char line[64];
  const int threads = count > 1 ? atoi(arguments[1]) : 1;
  if (threads < 1 || threads > MOST_THREADS || !__builtin_cpu_supports("avx512f")) {
    puts("{\"error\": \"this processor has no vectors of 512 bits.\"}");
    return 0;
  }
  puts("[{\"name\": \"multiply-add peak, 512 bits\", \"compared\": false}]");
  fflush(stdout);
  while (fgets(line, sizeof line, stdin)) {
    printf("{\"milliseconds\": %f}\n", milliseconds(threads));
    fflush(stdout);
  }
  return 0;
}
#else
int main(void) {
  puts("{\"error\": \"this processor has no vectors of 512 bits.\"}");
  return 0;
}
#endif
