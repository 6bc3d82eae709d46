/* What a build of the kernels for one kind of processor gives to addon.c. */
#ifndef KERNELS_H
#define KERNELS_H
#include <stddef.h>
#include <stdint.h>

/** A kernel over the memory at `base`, with its arguments as JavaScript has them. */
typedef struct {
  const char *name;
  int count;
  double (*call)(uint8_t *base, const double *args);
} Kernel;

typedef struct {
  const Kernel *table;
  size_t size;
  /** Says in which word of the memory the thread that calls next finds where its scratch is. */
  void (*scratchAt)(uint32_t word);
  /** Runs so many rounds of multiply-adds in registers, and returns how many operations they were. */
  double (*multiplyAdd)(double rounds);
} Kernels;
#endif
