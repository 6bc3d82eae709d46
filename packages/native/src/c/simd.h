/*
 * The vocabulary of vectors in which the kernels are written, for processors: by hand what assembly/simd.ts of
 * @invnet/tensor is for WebAssembly, with vectors of LANES floats, 4, 8 or 16. A vector is LANES / 4 quads of four
 * floats; shuffles act within each quad, and everything else on each float. Operations round as WebAssembly's do, so
 * results are the same to the bit.
 *
 * Left out: what has no name in the kernels.
 */
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>
#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#endif
#if defined(__aarch64__)
#include <arm_neon.h>
#endif

#ifndef LANES
#error "LANES says how many floats a vector has"
#endif
#define VECTOR (4u * LANES)
#define QUADS (LANES / 4)
/*
 * Rows of a register tile, and vectors of each: all of AVX2's registers, and enough of those with more. Tiles that read
 * A where it lies have no more than two.
 */
#define ROWS 6
#define ROW_VECTORS 2

#define INLINE static inline __attribute__((always_inline))

typedef float vec __attribute__((vector_size(4 * LANES)));
typedef float quad __attribute__((vector_size(16)));
typedef double doubles __attribute__((vector_size(16)));
typedef double widened __attribute__((vector_size(4 * LANES)));
typedef uint32_t uvec __attribute__((vector_size(4 * LANES)));
typedef int32_t ivec __attribute__((vector_size(4 * LANES)));
typedef int32_t iquad __attribute__((vector_size(16)));
typedef vec vec_ __attribute__((aligned(4), may_alias));
typedef quad quad_ __attribute__((aligned(4), may_alias));

/* Memory: 32-bit offsets from `mem`. */
typedef float float_ __attribute__((may_alias, aligned(4)));
typedef double double_ __attribute__((may_alias, aligned(8)));
typedef int32_t int32_t_ __attribute__((may_alias));
typedef uint32_t uint32_t_ __attribute__((may_alias));
#define PICK(_1, _2, _3, name, ...) name
#define AT(at) (mem + (uint32_t)(at))
#define LOAD(type, ...) LOAD_(type, __VA_ARGS__, 0, 0)
#define LOAD_(type, at, offset, ...) (*(const type##_ *)(AT(at) + (offset)))
#define STORE(type, ...) STORE_(type, __VA_ARGS__, 0, 0)
#define STORE_(type, at, value, offset, ...) (*(type##_ *)(AT(at) + (offset)) = (type)(value))
#define v128_load(...) VLOAD_(__VA_ARGS__, 0, 0)
#define VLOAD_(at, offset, ...) ((vec) * (const vec_ *)(AT(at) + (offset)))
#define v128_load32_splat(...) splat(LOAD_(float, __VA_ARGS__, 0, 0))
#define v128_store(...) VSTORE_(__VA_ARGS__, 0, 0)
#define VSTORE_(at, v, offset, ...) BY_WIDTH(storeVec, storeQuad, v)(AT(at) + (offset), v)
#define v128_store32_lane(at, v, lane) STORE(float, at, (v)[lane])
#define loadQuad(at) ((quad) * (const quad_ *)AT(at))

#define prefetch(at) __builtin_prefetch(AT(at))

/* Chooses by the type of v, where quads are not vectors themselves. */
#if LANES == 4
#define BY_WIDTH(wide, narrow, v) narrow
#else
#define BY_WIDTH(wide, narrow, v) _Generic((v), vec: wide, quad: narrow)
INLINE void storeVec(uint8_t *to, vec v) { *(vec_ *)to = v; }
#endif
INLINE void storeQuad(uint8_t *to, quad v) { *(quad_ *)to = v; }

/* Less zero, which changes nothing, not even −0. */
#define splat(x) ((float)(x) - (vec){})
#define f32x4_splat(x) splat(x)
#define f64x2_splat(x) ((double)(x) - (doubles){})
#define i32x4_splat(x) ((vec)((ivec){} + (int32_t)(x)))

#define f32x4_add(a, b) ((a) + (b))
#define f32x4_sub(a, b) ((a) - (b))
#define f32x4_mul(a, b) ((a) * (b))
#define f32x4_div(a, b) ((a) / (b))
#define f32x4_neg(a) (-(a))
#define f32x4_extract_lane(a, lane) ((a)[lane])
#define f64x2_add(a, b) ((a) + (b))
#define f64x2_sub(a, b) ((a) - (b))
#define f64x2_mul(a, b) ((a) * (b))
#define f64x2_neg(a) (-(a))
#define f64x2_extract_lane(a, lane) ((a)[lane])
INLINE doubles f64x2_replace_lane(doubles v, int lane, double x) {
  v[lane] = x;
  return v;
}
INLINE quad f32x4_demote_f64x2_zero(doubles v) { return (quad){(float)v[0], (float)v[1], 0, 0}; }

#define f32x4_gt(a, b) ((vec)((a) > (b)))
#define f32x4_lt(a, b) ((vec)((a) < (b)))
#define f32x4_ge(a, b) ((vec)((a) >= (b)))
#define f32x4_eq(a, b) ((vec)((a) == (b)))
#define v128_and(a, b) ((vec)((ivec)(a) & (ivec)(b)))
#define v128_or(a, b) ((vec)((ivec)(a) | (ivec)(b)))
#define i32x4_add(a, b) ((vec)((uvec)(a) + (uvec)(b)))
#define i32x4_sub(a, b) ((vec)((uvec)(a) - (uvec)(b)))
#define i32x4_shl(a, n) ((vec)((uvec)(a) << (n)))
#define i32x4_shr_s(a, n) ((vec)((ivec)(a) >> (n)))
#define i32x4_shr_u(a, n) ((vec)((uvec)(a) >> (n)))
#define f32x4_convert_i32x4_s(a) __builtin_convertvector((ivec)(a), vec)
#define f32x4_abs(a) v128_and(a, i32x4_splat(0x7fffffff))

INLINE quad keepPositive(quad v, quad mask) { return (quad)((iquad)v & (iquad)(mask > 0)); }

/* Not `select`, which the C library has. */
#define select choose
INLINE vec choose(vec mask, vec yes, vec no) {
  return (vec)(((ivec)mask & (ivec)yes) | (~(ivec)mask & (ivec)no));
}

/* b where it is greater, or less, else a: what x86's instructions do with their operands changed. */
#if LANES == 16
INLINE vec f32x4_pmax(vec a, vec b) { return (vec)_mm512_max_ps((__m512)b, (__m512)a); }
INLINE vec f32x4_pmin(vec a, vec b) { return (vec)_mm512_min_ps((__m512)b, (__m512)a); }
INLINE vec f32x4_sqrt(vec a) { return (vec)_mm512_sqrt_ps((__m512)a); }
INLINE vec madd(vec a, vec b, vec c) { return (vec)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c); }
INLINE vec nmadd(vec a, vec b, vec c) { return (vec)_mm512_fnmadd_ps((__m512)a, (__m512)b, (__m512)c); }
#elif LANES == 8
INLINE vec f32x4_pmax(vec a, vec b) { return (vec)_mm256_max_ps((__m256)b, (__m256)a); }
INLINE vec f32x4_pmin(vec a, vec b) { return (vec)_mm256_min_ps((__m256)b, (__m256)a); }
INLINE vec f32x4_sqrt(vec a) { return (vec)_mm256_sqrt_ps((__m256)a); }
INLINE vec madd(vec a, vec b, vec c) { return (vec)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c); }
INLINE vec nmadd(vec a, vec b, vec c) { return (vec)_mm256_fnmadd_ps((__m256)a, (__m256)b, (__m256)c); }
#elif defined(__aarch64__)
INLINE vec f32x4_pmax(vec a, vec b) { return select(f32x4_lt(a, b), b, a); }
INLINE vec f32x4_pmin(vec a, vec b) { return select(f32x4_lt(b, a), b, a); }
INLINE vec f32x4_sqrt(vec a) { return (vec)vsqrtq_f32((float32x4_t)a); }
INLINE vec madd(vec a, vec b, vec c) { return (vec)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b); }
INLINE vec nmadd(vec a, vec b, vec c) { return (vec)vfmsq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b); }
#else
#error "no kind of processor that this is written for"
#endif

/* IEEE's minimum and maximum: NaN where either is, and −0 less than +0. */
INLINE vec f32x4_max(vec a, vec b) {
  vec equal = v128_and(a, b);
  return select(f32x4_eq(a, b), equal, select(f32x4_gt(a, b), a, select(f32x4_lt(a, b), b, a + b)));
}
INLINE vec f32x4_min(vec a, vec b) {
  vec equal = v128_or(a, b);
  return select(f32x4_eq(a, b), equal, select(f32x4_lt(a, b), a, select(f32x4_gt(a, b), b, a + b)));
}
#define f64x2_max(a, b) ({ \
  __typeof__((a) + (b)) a_ = (a), b_ = (b); \
  __typeof__(a_ > b_) greater_ = a_ > b_, less_ = a_ < b_, equal_ = a_ == b_; \
  __typeof__(a_ > b_) x_ = (__typeof__(a_ > b_))a_, y_ = (__typeof__(a_ > b_))b_; \
  __typeof__(a_ > b_) none_ = ~(greater_ | less_ | equal_) & (__typeof__(a_ > b_))(a_ + b_); \
  (__typeof__(a_))((greater_ & x_) | (less_ & y_) | (equal_ & x_ & y_) | none_); \
})
INLINE double maxDouble(double a, double b) { return f64x2_max(f64x2_splat(a), f64x2_splat(b))[0]; }

#define MIN(a, b) ({ __auto_type a_ = (a); __auto_type b_ = (b); a_ < b_ ? a_ : b_; })
#define MAX(a, b) _Generic((a), double: maxDouble, default: maxWhole)(a, b)
#define ABS(a) __builtin_abs(a)
INLINE int32_t maxWhole(int32_t a, int32_t b) { return a > b ? a : b; }

/* Shuffles of quads, one function for each order that the kernels use. GCC before 12 names them otherwise. */
#if !defined(__clang__) && __GNUC__ < 12
#define SHUFFLE_QUAD(x, y, ...) __builtin_shuffle(x, y, (iquad){__VA_ARGS__})
#define SHUFFLE_VEC(x, y, ...) __builtin_shuffle(x, y, (ivec){__VA_ARGS__})
#else
#define SHUFFLE_QUAD __builtin_shufflevector
#define SHUFFLE_VEC __builtin_shufflevector
#endif
#define Q(i, n) ((i) < 4 ? (i) + 4 * (n) : (i) - 4 + LANES + 4 * (n))
#if LANES == 16
#define WIDE(a, b, c, d) \
  Q(a, 0), Q(b, 0), Q(c, 0), Q(d, 0), Q(a, 1), Q(b, 1), Q(c, 1), Q(d, 1), \
  Q(a, 2), Q(b, 2), Q(c, 2), Q(d, 2), Q(a, 3), Q(b, 3), Q(c, 3), Q(d, 3)
#else
#define WIDE(a, b, c, d) Q(a, 0), Q(b, 0), Q(c, 0), Q(d, 0), Q(a, 1), Q(b, 1), Q(c, 1), Q(d, 1)
#endif
#define DEFINE_QUAD_SHUFFLE(name, a, b, c, d) \
  INLINE quad quad_##name(quad x, quad y) { return SHUFFLE_QUAD(x, y, a, b, c, d); }
#if LANES == 4
#define DEFINE_SHUFFLE DEFINE_QUAD_SHUFFLE
#else
#define DEFINE_SHUFFLE(name, a, b, c, d) \
  DEFINE_QUAD_SHUFFLE(name, a, b, c, d) \
  INLINE vec vec_##name(vec x, vec y) { return SHUFFLE_VEC(x, y, WIDE(a, b, c, d)); }
#endif
#define SHUFFLE(name, x, y) BY_WIDTH(vec_##name, quad_##name, x)(x, y)

/* Quads apart from each other. */
#define loadQuads(from, pitch) loadQuads_(mem, from, pitch)
#define placesBehind(from, words, pitch) placesBehind_(mem, from, words, pitch)
#define loadQuadsAt(at, behind) loadQuadsAt_(mem, at, 16 * (behind))
typedef struct { uint32_t of[QUADS]; } places;
INLINE places placesBehind_(uint8_t *mem, uint32_t from, uint32_t words, uint32_t pitch) {
  places at;
  for (uint32_t i = 0; i < QUADS; i++) at.of[i] = from + LOAD(uint32_t, words + i * pitch);
  return at;
}
#define storeQuads(to, pitch, v) storeQuads_(mem, to, pitch, v)
#if LANES == 16
#define splatQuad(from) ((vec)_mm512_broadcast_f32x4((__m128)loadQuad(from)))
INLINE quad quadOf(vec v, int i) {
  quad all[4];
  memcpy(all, &v, sizeof v);
  return all[i];
}
INLINE vec loadQuads_(uint8_t *mem, uint32_t from, uint32_t pitch) {
  __m512 v = _mm512_castps128_ps512((__m128)loadQuad(from));
  v = _mm512_insertf32x4(v, (__m128)loadQuad(from + pitch), 1);
  v = _mm512_insertf32x4(v, (__m128)loadQuad(from + 2 * pitch), 2);
  return (vec)_mm512_insertf32x4(v, (__m128)loadQuad(from + 3 * pitch), 3);
}
INLINE vec loadQuadsAt_(uint8_t *mem, places at, uint32_t bytes) {
  __m512 v = _mm512_castps128_ps512((__m128)loadQuad(at.of[0] + bytes));
  v = _mm512_insertf32x4(v, (__m128)loadQuad(at.of[1] + bytes), 1);
  v = _mm512_insertf32x4(v, (__m128)loadQuad(at.of[2] + bytes), 2);
  return (vec)_mm512_insertf32x4(v, (__m128)loadQuad(at.of[3] + bytes), 3);
}
INLINE void storeQuads_(uint8_t *mem, uint32_t to, uint32_t pitch, vec v) {
  if (__builtin_constant_p(pitch) && pitch == 16) {
    v128_store(to, v);
    return;
  }
  v128_store(to, (quad)_mm512_castps512_ps128((__m512)v));
  v128_store(to + pitch, (quad)_mm512_extractf32x4_ps((__m512)v, 1));
  v128_store(to + 2 * pitch, (quad)_mm512_extractf32x4_ps((__m512)v, 2));
  v128_store(to + 3 * pitch, (quad)_mm512_extractf32x4_ps((__m512)v, 3));
}
#elif LANES == 8
#define splatQuad(from) ((vec)_mm256_broadcast_ps((const __m128 *)AT(from)))
INLINE quad quadOf(vec v, int i) {
  return i == 0 ? (quad)_mm256_castps256_ps128((__m256)v) : (quad)_mm256_extractf128_ps((__m256)v, 1);
}
INLINE vec loadQuads_(uint8_t *mem, uint32_t from, uint32_t pitch) {
  __m256 v = _mm256_castps128_ps256((__m128)loadQuad(from));
  return (vec)_mm256_insertf128_ps(v, (__m128)loadQuad(from + pitch), 1);
}
INLINE vec loadQuadsAt_(uint8_t *mem, places at, uint32_t bytes) {
  __m256 v = _mm256_castps128_ps256((__m128)loadQuad(at.of[0] + bytes));
  return (vec)_mm256_insertf128_ps(v, (__m128)loadQuad(at.of[1] + bytes), 1);
}
INLINE void storeQuads_(uint8_t *mem, uint32_t to, uint32_t pitch, vec v) {
  if (__builtin_constant_p(pitch) && pitch == 16) {
    v128_store(to, v);
    return;
  }
  v128_store(to, quadOf(v, 0));
  v128_store(to + pitch, quadOf(v, 1));
}
#else
#define splatQuad(from) loadQuad(from)
#define quadOf(v, i) (v)
INLINE vec loadQuads_(uint8_t *mem, uint32_t from, uint32_t pitch) { return loadQuad(from); }
INLINE vec loadQuadsAt_(uint8_t *mem, places at, uint32_t bytes) {
  return loadQuad(at.of[0] + bytes);
}
INLINE void storeQuads_(uint8_t *mem, uint32_t to, uint32_t pitch, vec v) { v128_store(to, v); }
#endif

/* Parts of vectors: nothing else is read, nor written. */
#define loadSome(from, step, count) loadSome_(mem, from, step, count)
#define storeSome(to, v, count) storeSome_(mem, to, v, count)
INLINE void storeSomeFloats(uint8_t *to, quad v, int32_t count) {
  for (int32_t i = 0; i < count; i++) *(float_ *)(to + 4 * i) = v[i];
}
INLINE vec gather(uint8_t *mem, uint32_t from, uint32_t step, int32_t count) {
  vec v = (vec){};
  for (int32_t i = 0; i < LANES; i++) {
    if (i < count) v[i] = LOAD(float, from + (uint32_t)i * step);
  }
  return v;
}
#define loadBetween(line, index, size) loadBetween_(mem, line, index, size)
#if LANES == 16
INLINE __mmask16 firstOf(int32_t count) { return (__mmask16)((1u << count) - 1); }
/* Which of the lanes index … are from 0 to before size. */
INLINE vec loadBetween_(uint8_t *mem, uint32_t line, int32_t index, int32_t size) {
  if (index <= -LANES || index >= size) return splat(0);
  const uint32_t below = size - index < LANES ? (1u << (size - index)) - 1 : 0xffffu;
  const uint32_t from = index < 0 ? below & (0xffffu << -index) : below;
  return (vec)_mm512_maskz_loadu_ps((__mmask16)from, AT(line) + 4 * (intptr_t)index);
}
INLINE vec loadSome_(uint8_t *mem, uint32_t from, uint32_t step, int32_t count) {
  if (step == 4) return (vec)_mm512_maskz_loadu_ps(firstOf(count), AT(from));
  if (step == 0) return (vec)_mm512_maskz_mov_ps(firstOf(count), (__m512)splat(LOAD(float, from)));
  return gather(mem, from, step, count);
}
#define storeSome_(mem, to, v, count) BY_WIDTH(storeSomeWide, storeSomeFloats, v)(AT(to), v, count)
INLINE void storeSomeWide(uint8_t *to, vec v, int32_t count) { _mm512_mask_storeu_ps(to, firstOf(count), (__m512)v); }
INLINE vec keepSome(vec v, int32_t count) { return (vec)_mm512_maskz_mov_ps(firstOf(count), (__m512)v); }
#elif LANES == 8
INLINE __m256i firstOf(int32_t count) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
INLINE vec loadBetween_(uint8_t *mem, uint32_t line, int32_t index, int32_t size) {
  const __m256i lanes = _mm256_add_epi32(_mm256_set1_epi32(index), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  const __m256i outside = _mm256_or_si256(lanes, _mm256_cmpgt_epi32(lanes, _mm256_set1_epi32(size - 1)));
  const __m256i inside = _mm256_xor_si256(outside, _mm256_set1_epi32(-1));
  return (vec)_mm256_maskload_ps((const float *)(AT(line) + 4 * (intptr_t)index), inside);
}
INLINE vec loadSome_(uint8_t *mem, uint32_t from, uint32_t step, int32_t count) {
  if (step == 4) return (vec)_mm256_maskload_ps((const float *)AT(from), firstOf(count));
  if (step == 0) return v128_and(splat(LOAD(float, from)), (__m256)firstOf(count));
  return gather(mem, from, step, count);
}
#define storeSome_(mem, to, v, count) BY_WIDTH(storeSomeWide, storeSomeFloats, v)(AT(to), v, count)
INLINE void storeSomeWide(uint8_t *to, vec v, int32_t count) {
  _mm256_maskstore_ps((float *)to, firstOf(count), (__m256)v);
}
INLINE vec keepSome(vec v, int32_t count) { return v128_and(v, (__m256)firstOf(count)); }
#else
INLINE vec loadSome_(uint8_t *mem, uint32_t from, uint32_t step, int32_t count) {
  return gather(mem, from, step, count);
}
INLINE vec loadBetween_(uint8_t *mem, uint32_t line, int32_t index, int32_t size) {
  vec v = (vec){};
  for (int32_t i = 0; i < LANES; i++) {
    if (index + i >= 0 && index + i < size) v[i] = *(const float_ *)(AT(line) + 4 * (intptr_t)(index + i));
  }
  return v;
}
#define storeSome_(mem, to, v, count) storeSomeFloats(AT(to), v, count)
INLINE vec keepSome(vec v, int32_t count) {
  for (int32_t i = count; i < LANES; i++) v[i] = 0;
  return v;
}
#endif

/* Doubles, of half a vector's floats and of quads. */
#define splatWidened(x) ((double)(x) - (widened){})
#define widen(from) widen_(mem, from)
INLINE widened widen_(uint8_t *mem, uint32_t from) {
#if LANES == 16
  return (widened)_mm512_cvtps_pd(_mm256_loadu_ps((const float *)AT(from)));
#elif LANES == 8
  return (widened)_mm256_cvtps_pd(_mm_loadu_ps((const float *)AT(from)));
#else
  const float_ *at = (const float_ *)AT(from);
  return (widened){at[0], at[1]};
#endif
}
INLINE doubles pairOf(widened v, int i) {
  doubles all[QUADS];
  memcpy(all, &v, sizeof v);
  return all[i];
}
INLINE doubles sumInto(doubles sums, vec v) {
  for (int i = 0; i < QUADS; i++) {
    const quad q = quadOf(v, i);
    sums += (doubles){q[0], q[1]} + (doubles){q[2], q[3]};
  }
  return sums;
}

/* Twelve sums, as a register tile has them, so that no multiply-add waits for another; each stays in a register. */
#if defined(__aarch64__)
#define IN_REGISTER "+w"
#else
#define IN_REGISTER "+v"
#endif
#define ADD_TO(sum) sum = madd(sum, a, b); __asm__ volatile("" : IN_REGISTER(sum))
static double multiplyAdd(double rounds) {
  const vec a = splat(0.999f);
  const vec b = splat(1e-3f);
  vec s0 = b, s1 = b, s2 = b, s3 = b, s4 = b, s5 = b, s6 = b, s7 = b, s8 = b, s9 = b, s10 = b, s11 = b;
  for (int64_t round = 0; round < (int64_t)rounds; round++) {
    ADD_TO(s0); ADD_TO(s1); ADD_TO(s2); ADD_TO(s3); ADD_TO(s4); ADD_TO(s5);
    ADD_TO(s6); ADD_TO(s7); ADD_TO(s8); ADD_TO(s9); ADD_TO(s10); ADD_TO(s11);
  }
  return rounds * 12 * 2 * LANES;
}
