/*
 * The kernels as a Node-API addon. It holds a build for each kind of processor that it knows, and says which of them
 * run on this one. A build is bound to the memory of a WebAssembly module: what comes out has the names and arguments of
 * the module's own exports, and any number of them may exist, in any thread.
 *
 * Left out: checks of what kernels are given. Pointers are the caller's word, as they are inside of a module.
 */
#define NAPI_VERSION 8
#include <node_api.h>
#include <stdlib.h>
#include <string.h>
#include "kernels.h"

#if defined(__x86_64__) || defined(_M_X64)
#include <cpuid.h>
extern const Kernels kernels_avx2;
extern const Kernels kernels_avx512;

/* Registers that the system saves when it changes threads. */
static uint64_t savedRegisters(void) {
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (uint64_t)high << 32 | low;
}

static void features(uint32_t *basic, uint32_t *extended) {
  uint32_t a, b, c = 0, d;
  *basic = __get_cpuid(1, &a, &b, &c, &d) ? c : 0;
  *extended = __get_cpuid_count(7, 0, &a, &b, &c, &d) ? b : 0;
}

static int hasAvx2(void) {
  uint32_t basic, extended;
  features(&basic, &extended);
  const uint32_t needed = 1u << 12 | 1u << 27 | 1u << 28;
  return (basic & needed) == needed && extended >> 5 & 1 && (savedRegisters() & 6) == 6;
}

static int hasAvx512(void) {
  uint32_t basic, extended;
  features(&basic, &extended);
  const uint32_t needed = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31;
  return hasAvx2() && (extended & needed) == needed && (savedRegisters() & 0xe6) == 0xe6;
}

/* Best first. */
static const struct { const char *name; const Kernels *kernels; int (*has)(void); } builds[] = {
  { "avx512", &kernels_avx512, hasAvx512 },
  { "avx2", &kernels_avx2, hasAvx2 },
};
#else
extern const Kernels kernels_neon;
static int always(void) { return 1; }
static const struct { const char *name; const Kernels *kernels; int (*has)(void); } builds[] = {
  { "neon", &kernels_neon, always },
};
#endif

enum { BUILDS = sizeof builds / sizeof *builds, MOST_ARGS = 16 };

/* A build over a memory. Its functions hold it, and the last of them lets it go. */
typedef struct {
  uint8_t *memory;
  uint32_t scratchWord;
  const Kernels *kernels;
  size_t users;
  struct Bound *bound;
} Instance;

typedef struct Bound {
  Instance *instance;
  const Kernel *kernel;
} Bound;

#define TRY(call) do { if ((call) != napi_ok) return failed(env); } while (0)

static napi_value failed(napi_env env) {
  bool pending = false;
  napi_is_exception_pending(env, &pending);
  if (!pending) napi_throw_error(env, NULL, "native: the engine refused a call of the addon.");
  return NULL;
}

static napi_value wrong(napi_env env, const char *message) {
  napi_throw_type_error(env, NULL, message);
  return NULL;
}

static napi_value number(napi_env env, double x) {
  napi_value result;
  TRY(napi_create_double(env, x, &result));
  return result;
}

static napi_value runKernel(napi_env env, napi_callback_info info) {
  size_t count = MOST_ARGS;
  napi_value values[MOST_ARGS];
  double args[MOST_ARGS];
  Bound *bound;
  TRY(napi_get_cb_info(env, info, &count, values, NULL, (void **)&bound));
  if (count != (size_t)bound->kernel->count) return wrong(env, "native: a kernel got another number of arguments.");
  for (size_t i = 0; i < count; i++) {
    if (napi_get_value_double(env, values[i], args + i) != napi_ok) return wrong(env, "native: expected numbers.");
  }
  Instance *instance = bound->instance;
  instance->kernels->scratchAt(instance->scratchWord);
  const double result = bound->kernel->call(instance->memory, args);
  return result == 0 ? NULL : number(env, result);
}

static int memoryOf(napi_env env, napi_value view, uint8_t **memory) {
  void *data = NULL;
  if (napi_get_typedarray_info(env, view, NULL, NULL, &data, NULL, NULL) != napi_ok || data == NULL) return 0;
  *memory = data;
  return 1;
}

static napi_value moveTo(napi_env env, napi_callback_info info) {
  size_t count = 1;
  napi_value view;
  Bound *bound;
  TRY(napi_get_cb_info(env, info, &count, &view, NULL, (void **)&bound));
  if (!memoryOf(env, view, &bound->instance->memory)) return wrong(env, "native: expected a view of the memory.");
  return NULL;
}

static void letGo(napi_env env, void *data, void *hint) {
  Instance *instance = data;
  if (--instance->users > 0) return;
  free(instance->bound);
  free(instance);
}

static int define(napi_env env, napi_value object, const char *name, napi_callback call, Instance *instance, Bound *bound) {
  napi_value function;
  if (napi_create_function(env, name, NAPI_AUTO_LENGTH, call, bound, &function) != napi_ok) return 0;
  if (napi_add_finalizer(env, function, instance, letGo, NULL, NULL) != napi_ok) return 0;
  instance->users++;
  return napi_set_named_property(env, object, name, function) == napi_ok;
}

/* The build of a name, if it runs here. */
static const Kernels *find(napi_env env, napi_value name) {
  char text[16] = "";
  napi_get_value_string_utf8(env, name, text, sizeof text, NULL);
  for (int i = 0; i < BUILDS; i++) {
    if (strcmp(builds[i].name, text) == 0 && builds[i].has()) return builds[i].kernels;
  }
  return NULL;
}

/* bind(build, view of the memory from its start, word of the scratch): kernels, and `moveTo(view)` for a memory that moved. */
static napi_value bind(napi_env env, napi_callback_info info) {
  size_t count = 3;
  napi_value values[3];
  napi_value result;
  uint8_t *memory;
  uint32_t word;
  TRY(napi_get_cb_info(env, info, &count, values, NULL, NULL));
  const Kernels *kernels = count == 3 ? find(env, values[0]) : NULL;
  if (!kernels) return wrong(env, "native: expected a build that runs here, a memory and a word of it.");
  if (!memoryOf(env, values[1], &memory)) return wrong(env, "native: expected a view of the memory.");
  TRY(napi_get_value_uint32(env, values[2], &word));
  TRY(napi_create_object(env, &result));
  Instance *instance = malloc(sizeof *instance);
  Bound *bound = malloc((kernels->size + 1) * sizeof *bound);
  if (!instance || !bound) {
    free(instance);
    free(bound);
    return wrong(env, "native: no memory is left.");
  }
  /* This call holds it too, until all functions do. */
  *instance = (Instance){ memory, word, kernels, 1, bound };
  int all = 1;
  for (size_t i = 0; i < kernels->size && all; i++) {
    bound[i] = (Bound){ instance, kernels->table + i };
    all = define(env, result, kernels->table[i].name, runKernel, instance, bound + i);
  }
  bound[kernels->size] = (Bound){ instance, NULL };
  all = all && define(env, result, "moveTo", moveTo, instance, bound + kernels->size);
  letGo(env, instance, NULL);
  return all ? result : failed(env);
}

/* supported(): the names of the builds that run here, best first. */
static napi_value supported(napi_env env, napi_callback_info info) {
  napi_value result;
  uint32_t count = 0;
  TRY(napi_create_array(env, &result));
  for (int i = 0; i < BUILDS; i++) {
    if (!builds[i].has()) continue;
    napi_value name;
    TRY(napi_create_string_utf8(env, builds[i].name, NAPI_AUTO_LENGTH, &name));
    TRY(napi_set_element(env, result, count++, name));
  }
  return result;
}

/* multiplyAdd(build, rounds): runs that many in registers, and returns how many operations they were. */
static napi_value multiplyAdd(napi_env env, napi_callback_info info) {
  size_t count = 2;
  napi_value values[2];
  double rounds;
  TRY(napi_get_cb_info(env, info, &count, values, NULL, NULL));
  const Kernels *kernels = count == 2 ? find(env, values[0]) : NULL;
  if (!kernels) return wrong(env, "native: expected a build that runs here, and a number of rounds.");
  TRY(napi_get_value_double(env, values[1], &rounds));
  return number(env, kernels->multiplyAdd(rounds));
}

NAPI_MODULE_INIT() {
  const struct { const char *name; napi_callback call; } all[] = {
    { "bind", bind }, { "supported", supported }, { "multiplyAdd", multiplyAdd },
  };
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    napi_value function;
    TRY(napi_create_function(env, all[i].name, NAPI_AUTO_LENGTH, all[i].call, NULL, &function));
    TRY(napi_set_named_property(env, exports, all[i].name, function));
  }
  return exports;
}
