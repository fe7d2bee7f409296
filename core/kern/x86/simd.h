/*
 * One vector of f32 for the row and attention kernels, which are written once
 * and compiled for each instruction set. Only operations that both have; all
 * sums and reductions run in a fixed order.
 */
#ifndef ATT_KERN_X86_SIMD_H
#define ATT_KERN_X86_SIMD_H

#include <immintrin.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>

#include "core/kern/gemm.h"

#define INLINE static inline __attribute__((always_inline))

/* Before a loop of a constant count, 16 at most: else sums are in memory, at half the speed. */
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

#if defined(__AVX512F__)

typedef __m512 vec;
enum { VEC = 16 };
INLINE vec vec_set(float x)
{
    return _mm512_set1_ps(x);
}
INLINE vec vec_zero(void)
{
    return _mm512_setzero_ps();
}
INLINE vec vec_load(const float *p)
{
    return _mm512_loadu_ps(p);
}
INLINE void vec_store(float *p, vec x)
{
    _mm512_storeu_ps(p, x);
}
INLINE __mmask16 tail_mask(size_t n)
{
    return (__mmask16)((1u << n) - 1);
}
INLINE vec vec_load_tail(const float *p, size_t n)
{
    return _mm512_maskz_loadu_ps(tail_mask(n), p);
}
INLINE void vec_store_tail(float *p, vec x, size_t n)
{
    _mm512_mask_storeu_ps(p, tail_mask(n), x);
}
/* The first n elements of x, `other` behind them. */
INLINE vec vec_first(vec x, size_t n, vec other)
{
    return _mm512_mask_mov_ps(other, tail_mask(n), x);
}
INLINE vec vec_add(vec a, vec b)
{
    return _mm512_add_ps(a, b);
}
INLINE vec vec_sub(vec a, vec b)
{
    return _mm512_sub_ps(a, b);
}
INLINE vec vec_mul(vec a, vec b)
{
    return _mm512_mul_ps(a, b);
}
INLINE vec vec_div(vec a, vec b)
{
    return _mm512_div_ps(a, b);
}
INLINE vec vec_fma(vec a, vec b, vec c)
{
    return _mm512_fmadd_ps(a, b, c);
}
/* When one is NaN, the second operand wins: pass the data second. */
INLINE vec vec_max(vec a, vec b)
{
    return _mm512_max_ps(a, b);
}
INLINE vec vec_min(vec a, vec b)
{
    return _mm512_min_ps(a, b);
}
INLINE vec vec_abs(vec x)
{
    return _mm512_abs_ps(x);
}
INLINE vec vec_sign_of(vec magnitude, vec sign)
{
    const __m512i bit = _mm512_set1_epi32((int)0x80000000u);
    return _mm512_castsi512_ps(
        _mm512_or_si512(_mm512_castps_si512(magnitude), _mm512_and_si512(_mm512_castps_si512(sign), bit)));
}
/* a where |x| < 1 is false, b where it is true; NaN takes a. */
INLINE vec vec_pick_small(vec x, vec a, vec b)
{
    return _mm512_mask_mov_ps(a, _mm512_cmp_ps_mask(vec_abs(x), vec_set(1), _CMP_LT_OQ), b);
}
INLINE vec vec_round(vec x)
{
    return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
/* 2^n for integers -126 <= n <= 127 held as floats. */
INLINE vec vec_pow2(vec n)
{
    const __m512i e = _mm512_add_epi32(_mm512_cvtps_epi32(n), _mm512_set1_epi32(127));
    return _mm512_castsi512_ps(_mm512_slli_epi32(e, 23));
}
/* x where d is above -infinity or NaN, else 0. */
INLINE vec vec_keep_finite_low(vec x, vec d)
{
    return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(d, vec_set(-INFINITY), _CMP_NEQ_UQ), x);
}
/* x where d is not 0, else 0. */
INLINE vec vec_keep_nonzero(vec x, vec d)
{
    return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(d, vec_zero(), _CMP_NEQ_UQ), x);
}
/* x · 2^n for n = round(t); 0 where t is below -126. */
INLINE vec vec_scale_pow2(vec x, vec n, vec t)
{
    return _mm512_maskz_scalef_ps(_mm512_cmp_ps_mask(t, vec_set(-126), _CMP_NLT_UQ), x, n);
}
INLINE __m256 vec_low(vec x)
{
    return _mm512_castps512_ps256(x);
}
INLINE __m256 vec_high(vec x)
{
    return _mm512_extractf32x8_ps(x, 1);
}
INLINE __m256 vec_fold_add(vec x)
{
    return _mm256_add_ps(vec_low(x), vec_high(x));
}
INLINE __m256 vec_fold_max(vec x)
{
    return _mm256_max_ps(vec_low(x), vec_high(x));
}

#else

typedef __m256 vec;
enum { VEC = 8 };
INLINE vec vec_set(float x)
{
    return _mm256_set1_ps(x);
}
INLINE vec vec_zero(void)
{
    return _mm256_setzero_ps();
}
INLINE vec vec_load(const float *p)
{
    return _mm256_loadu_ps(p);
}
INLINE void vec_store(float *p, vec x)
{
    _mm256_storeu_ps(p, x);
}
INLINE __m256i tail_mask(size_t n)
{
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), lane);
}
INLINE vec vec_load_tail(const float *p, size_t n)
{
    return _mm256_maskload_ps(p, tail_mask(n));
}
INLINE void vec_store_tail(float *p, vec x, size_t n)
{
    _mm256_maskstore_ps(p, tail_mask(n), x);
}
INLINE vec vec_first(vec x, size_t n, vec other)
{
    return _mm256_blendv_ps(other, x, _mm256_castsi256_ps(tail_mask(n)));
}
INLINE vec vec_add(vec a, vec b)
{
    return _mm256_add_ps(a, b);
}
INLINE vec vec_sub(vec a, vec b)
{
    return _mm256_sub_ps(a, b);
}
INLINE vec vec_mul(vec a, vec b)
{
    return _mm256_mul_ps(a, b);
}
INLINE vec vec_div(vec a, vec b)
{
    return _mm256_div_ps(a, b);
}
INLINE vec vec_fma(vec a, vec b, vec c)
{
    return _mm256_fmadd_ps(a, b, c);
}
INLINE vec vec_max(vec a, vec b)
{
    return _mm256_max_ps(a, b);
}
INLINE vec vec_min(vec a, vec b)
{
    return _mm256_min_ps(a, b);
}
INLINE vec vec_abs(vec x)
{
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), x);
}
INLINE vec vec_sign_of(vec magnitude, vec sign)
{
    return _mm256_or_ps(magnitude, _mm256_and_ps(sign, _mm256_set1_ps(-0.0f)));
}
INLINE vec vec_pick_small(vec x, vec a, vec b)
{
    return _mm256_blendv_ps(a, b, _mm256_cmp_ps(vec_abs(x), vec_set(1), _CMP_LT_OQ));
}
INLINE vec vec_round(vec x)
{
    return _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
INLINE vec vec_pow2(vec n)
{
    const __m256i e = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
    return _mm256_castsi256_ps(_mm256_slli_epi32(e, 23));
}
INLINE vec vec_keep_finite_low(vec x, vec d)
{
    return _mm256_and_ps(x, _mm256_cmp_ps(d, vec_set(-INFINITY), _CMP_NEQ_UQ));
}
INLINE vec vec_keep_nonzero(vec x, vec d)
{
    return _mm256_and_ps(x, _mm256_cmp_ps(d, vec_zero(), _CMP_NEQ_UQ));
}
INLINE vec vec_scale_pow2(vec x, vec n, vec t)
{
    return _mm256_and_ps(vec_mul(x, vec_pow2(vec_max(vec_set(-126), n))), _mm256_cmp_ps(t, vec_set(-126), _CMP_NLT_UQ));
}
INLINE __m256 vec_fold_add(vec x)
{
    return x;
}
INLINE __m256 vec_fold_max(vec x)
{
    return x;
}

#endif

/* Sum of the elements, always folded by halves. */
INLINE float vec_sum(vec x)
{
    const __m256 y = vec_fold_add(x);
    __m128 z = _mm_add_ps(_mm256_castps256_ps128(y), _mm256_extractf128_ps(y, 1));
    z = _mm_add_ps(z, _mm_movehl_ps(z, z));
    return _mm_cvtss_f32(_mm_add_ss(z, _mm_shuffle_ps(z, z, 1)));
}

INLINE float vec_largest(vec x)
{
    const __m256 y = vec_fold_max(x);
    __m128 z = _mm_max_ps(_mm256_castps256_ps128(y), _mm256_extractf128_ps(y, 1));
    z = _mm_max_ps(z, _mm_movehl_ps(z, z));
    return _mm_cvtss_f32(_mm_max_ss(z, _mm_shuffle_ps(z, z, 1)));
}

/*
 * e^x: x = n ln 2 + r with |r| <= ln 2 / 2, e^r = 1 + r + r² p(r), p of degree 4
 * fitted for the least relative error (7.5e-9; with rounding below 2e-7). Below
 * -87 the result is that of -87, 1.6e-38, where callers add it to at least 1.
 */
INLINE vec vec_exp(vec x)
{
    x = vec_min(vec_set(88.0f), vec_max(vec_set(-87.0f), x));
    const vec n = vec_round(vec_mul(x, vec_set(1.44269504f)));
    vec r = vec_fma(n, vec_set(-0.693359375f), x);
    r = vec_fma(n, vec_set(2.12194440e-4f), r);
    vec p = vec_set(0.0013941112f);
    p = vec_fma(p, r, vec_set(0.00836317521f));
    p = vec_fma(p, r, vec_set(0.0416663736f));
    p = vec_fma(p, r, vec_set(0.166665763f));
    p = vec_fma(p, r, vec_set(0.5f));
    p = vec_fma(vec_mul(p, r), r, r);
    const vec scale = vec_pow2(n);
    return vec_fma(p, scale, scale);
}

/*
 * 2^t for t <= 127, 0 below -126 and for -infinity: t = n + f with |f| <= 1/2, 2^f = 1 + f q(f), q of degree 4 fitted
 * for the least relative error (9.2e-8; with rounding 1.6e-7).
 */
INLINE vec vec_exp2(vec t)
{
    const vec n = vec_round(t), f = vec_sub(t, n);
    vec q = vec_set(0.00132647273f);
    q = vec_fma(q, f, vec_set(0.00967151299f));
    q = vec_fma(q, f, vec_set(0.0555073358f));
    q = vec_fma(q, f, vec_set(0.240222424f));
    q = vec_fma(q, f, vec_set(0.693147004f));
    return vec_scale_pow2(vec_fma(q, f, vec_set(1)), n, t);
}

/*
 * erf: for |x| < 1 x·P(x²), P of degree 6; else sign(x)·(1 - e^-T(|x|)), T of
 * degree 7 fitted to -log(erfc) on [1, 4]; beyond 4 the float result is 1.
 * Largest absolute error 1.3e-7.
 */
INLINE vec vec_erf(vec x)
{
    const vec s = vec_mul(x, x), t = vec_min(vec_set(4.0f), vec_abs(x));
    vec p = vec_set(7.88912148e-05f);
    p = vec_fma(p, s, vec_set(-0.000802084163f));
    p = vec_fma(p, s, vec_set(0.00518953521f));
    p = vec_fma(p, s, vec_set(-0.0268544443f));
    p = vec_fma(p, s, vec_set(0.112836003f));
    p = vec_fma(p, s, vec_set(-0.37612626f));
    p = vec_fma(p, s, vec_set(1.12837911f));
    vec q = vec_set(2.16868029e-05f);
    q = vec_fma(q, t, vec_set(-0.000441335811f));
    q = vec_fma(q, t, vec_set(0.00420455867f));
    q = vec_fma(q, t, vec_set(-0.0252082478f));
    q = vec_fma(q, t, vec_set(0.108418562f));
    q = vec_fma(q, t, vec_set(0.633219898f));
    q = vec_fma(q, t, vec_set(1.12957847f));
    q = vec_fma(q, t, vec_set(-0.000188038597f));
    const vec large = vec_sign_of(vec_sub(vec_set(1), vec_exp(vec_sub(vec_zero(), q))), x);
    return vec_pick_small(x, large, vec_mul(p, x));
}

/* tanh by 1 - 2 / (e^2|x| + 1); absolute error below 2e-7. */
INLINE vec vec_tanh(vec x)
{
    const vec e = vec_exp(vec_mul(vec_set(2), vec_min(vec_set(20), vec_abs(x))));
    return vec_sign_of(vec_sub(vec_set(1), vec_div(vec_set(2), vec_add(e, vec_set(1)))), x);
}

/* x Φ(x). */
#if defined(__AVX512F__)

/* By a polynomial in u, -1/2 to 1/2, where |x| lies in its interval; row i of the table: its coefficients of u^i. */
INLINE vec gelu_by_table(const size_t degree, const float (*table)[16], vec x)
{
    const vec magic = vec_set(0x1p23f), size = vec_abs(x);
    const vec at = vec_min(vec_set(15.49f), vec_mul(size, vec_set(1 / 0.36f)));
    const vec shifted = vec_add(at, magic); /* its low bits are the nearest integer: the interval */
    const __m512i k = _mm512_castps_si512(shifted);
    const vec u = vec_sub(at, vec_sub(shifted, magic));
    vec p = _mm512_permutexvar_ps(k, vec_load(table[degree]));
    UNROLL
    for (size_t i = degree; i-- > 0;)
        p = vec_fma(p, u, _mm512_permutexvar_ps(k, vec_load(table[i])));
    return vec_fma(size, p, vec_mul(vec_set(0.5f), x));
}

/*
 * Φ(|x|) - 1/2 by a polynomial of degree 5 on each of 16 intervals of width
 * 0.36 around their centres, its coefficients picked by permutes: half the work
 * of erf. Beyond 5.57 the float result is x or 0. Largest error 1.2e-7 · max(1,|x|).
 */
INLINE vec vec_gelu(vec x)
{
    static const float table[6][16] __attribute__((aligned(64))) = {{
                                                                        0.0f,
                                                                        0.140576437f,
                                                                        0.264237493f,
                                                                        0.359928906f,
                                                                        0.425066292f,
                                                                        0.464069694f,
                                                                        0.484613657f,
                                                                        0.494132251f,
                                                                        0.498011619f,
                                                                        0.499402344f,
                                                                        0.499840885f,
                                                                        0.499962538f,
                                                                        0.499992192f,
                                                                        0.499998569f,
                                                                        0.499999762f,
                                                                        0.49999997f,
                                                                    },
                                                                    {
                                                                        0.143619224f,
                                                                        0.134607822f,
                                                                        0.110826455f,
                                                                        0.0801552609f,
                                                                        0.0509255901f,
                                                                        0.0284220576f,
                                                                        0.0139344679f,
                                                                        0.00600123592f,
                                                                        0.00227042125f,
                                                                        0.000754549401f,
                                                                        0.000220284724f,
                                                                        5.64932634e-05f,
                                                                        1.27269568e-05f,
                                                                        2.51865231e-06f,
                                                                        4.37852407e-07f,
                                                                        6.68656952e-08f,
                                                                    },
                                                                    {
                                                                        3.07195336e-08f,
                                                                        -0.00872239191f,
                                                                        -0.0143628716f,
                                                                        -0.0155820623f,
                                                                        -0.0131999431f,
                                                                        -0.00920884963f,
                                                                        -0.00541780889f,
                                                                        -0.00272219745f,
                                                                        -0.0011769851f,
                                                                        -0.000440038741f,
                                                                        -0.000142732009f,
                                                                        -4.02614824e-05f,
                                                                        -9.89358341e-06f,
                                                                        -2.12073837e-06f,
                                                                        -3.96949531e-07f,
                                                                        -6.49306884e-08f,
                                                                    },
                                                                    {
                                                                        -0.00310243876f,
                                                                        -0.0025306833f,
                                                                        -0.00115289027f,
                                                                        0.000288062118f,
                                                                        0.00118092494f,
                                                                        0.00137516786f,
                                                                        0.00110329862f,
                                                                        0.000693565758f,
                                                                        0.000357730954f,
                                                                        0.00015479514f,
                                                                        5.6906305e-05f,
                                                                        1.79141352e-05f,
                                                                        4.85479404e-06f,
                                                                        1.13689134e-06f,
                                                                        2.30697793e-07f,
                                                                        4.06497591e-08f,
                                                                    },
                                                                    {
                                                                        9.3761372e-07f,
                                                                        0.000268318458f,
                                                                        0.000382424914f,
                                                                        0.000307293463f,
                                                                        0.000132393514f,
                                                                        -2.27622731e-05f,
                                                                        -9.65211657e-05f,
                                                                        -9.81091944e-05f,
                                                                        -6.73155882e-05f,
                                                                        -3.57877761e-05f,
                                                                        -1.54878453e-05f,
                                                                        -5.58865804e-06f,
                                                                        -1.70473618e-06f,
                                                                        -4.43437557e-07f,
                                                                        -9.89502666e-08f,
                                                                        -1.90222931e-08f,
                                                                    },
                                                                    {
                                                                        5.90260497e-05f,
                                                                        4.19494681e-05f,
                                                                        2.54834822e-06f,
                                                                        -2.93136782e-05f,
                                                                        -3.6432175e-05f,
                                                                        -2.36001342e-05f,
                                                                        -6.36996674e-06f,
                                                                        4.30078398e-06f,
                                                                        6.95678227e-06f,
                                                                        5.29759654e-06f,
                                                                        2.88298816e-06f,
                                                                        1.23337054e-06f,
                                                                        4.31357108e-07f,
                                                                        1.2588923e-07f,
                                                                        3.10395514e-08f,
                                                                        6.51852883e-09f,
                                                                    }};
    return gelu_by_table(5, table, x);
}

/* The same of degree 3, behind products of 16 bits or fewer, and rounded again: largest error 2.7e-6 · max(1,|x|). */
INLINE vec vec_gelu_short(vec x)
{
    static const float table[4][16] __attribute__((aligned(64))) = {
        {0.0f, 0.140574336f, 0.264234513f, 0.359926522f, 0.425065279f, 0.464069843f, 0.484614432f, 0.494133025f,
         0.498012155f, 0.499402642f, 0.499841005f, 0.499962568f, 0.499992222f, 0.499998569f, 0.499999762f, 0.49999997f},
        {0.143618047f, 0.13460651f, 0.110826373f, 0.0801561773f, 0.0509267263f, 0.0284227673f, 0.0139346663f,
         0.00600110181f, 0.00227020402f, 0.000754383858f, 0.000220194619f, 5.64547008e-05f, 1.27134663e-05f,
         2.51471556e-06f, 4.36881123e-07f, 6.66616558e-08f},
        {0.0f, -0.00865535904f, -0.0142672919f, -0.0155052636f, -0.0131668802f, -0.00921444688f, -0.00544192782f,
         -0.00274671987f, -0.0011938113f, -0.00044898421f, -0.000146603255f, -4.16583498e-05f, -1.03196617e-05f,
         -2.23156599e-06f, -4.21678891e-07f, -6.96844609e-08f},
        {-0.00308340904f, -0.00251496327f, -0.00115193613f, 0.000277073181f, 0.00116727187f, 0.00136642612f,
         0.00110091129f, 0.000695178111f, 0.000360339473f, 0.000156781738f, 5.79875086e-05f, 1.83767461e-05f,
         5.01660543e-06f, 1.18411356e-06f, 2.42344299e-07f, 4.30958877e-08f}};
    return gelu_by_table(3, table, x);
}

#else

INLINE vec vec_gelu(vec x)
{
    const vec half = vec_mul(vec_set(0.5f), x);
    return vec_fma(half, vec_erf(vec_mul(x, vec_set(0.70710678118f))), half);
}
INLINE vec vec_gelu_short(vec x)
{
    return vec_gelu(x);
}

#endif

INLINE vec vec_act(vec x, enum att_act act)
{
    switch (act) {
    case ATT_ACT_RELU:
        return vec_max(vec_zero(), x);
    case ATT_ACT_GELU:
        return vec_gelu(x);
    case ATT_ACT_GELU_TANH: {
        const vec inner = vec_mul(vec_set(0.79788456f), vec_fma(vec_mul(vec_mul(x, x), x), vec_set(0.044715f), x));
        const vec half = vec_mul(vec_set(0.5f), x);
        return vec_fma(half, vec_tanh(inner), half);
    }
    case ATT_ACT_SILU:
        return vec_div(x, vec_add(vec_set(1), vec_exp(vec_sub(vec_zero(), x))));
    case ATT_ACT_TANH:
        return vec_tanh(x);
    default:
        return x;
    }
}

/* vec_act behind products of 16 bits or fewer, whose result is rounded again. */
INLINE vec vec_act_short(vec x, enum att_act act)
{
    return act == ATT_ACT_GELU ? vec_gelu_short(x) : vec_act(x, act);
}

#endif
