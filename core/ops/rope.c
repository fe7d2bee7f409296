/* Frequencies are computed as the reference does, in f32 where it does, so that far positions turn by the same angle.
 */
#include "core/ops/rope.h"

#include <assert.h>
#include <math.h>

static const double pi = 3.14159265358979323846;

static void plain(size_t dim, double base, float *inverse)
{
    for (size_t i = 0; i < dim / 2; i++)
        inverse[i] = 1.0f / powf((float)base, (float)(2 * i) / (float)dim);
}

/* The dimension that turns `rotations` times over the training length. */
static double correction_dim(const struct att_rope *rope, double rotations)
{
    return (double)rope->dim * log(rope->scaling.original_max / (rotations * 2 * pi)) / (2 * log(rope->base));
}

static void yarn(struct att_rope *rope)
{
    const struct att_rope_scaling *scaling = &rope->scaling;
    double low = correction_dim(rope, scaling->beta_fast), high = correction_dim(rope, scaling->beta_slow);
    if (scaling->truncate) {
        low = floor(low);
        high = ceil(high);
    }
    low = fmax(low, 0);
    high = fmin(high, (double)rope->dim - 1);
    if (low == high)
        high += 0.001;
    for (size_t i = 0; i < rope->dim / 2; i++) {
        float power = powf((float)rope->base, (float)(2 * i) / (float)rope->dim);
        float ramp = fminf(fmaxf(((float)i - (float)low) / (float)(high - low), 0), 1);
        rope->inverse[i] = 1.0f / ((float)scaling->factor * power) * ramp + 1.0f / power * (1 - ramp);
    }
}

static void llama3(struct att_rope *rope)
{
    const struct att_rope_scaling *scaling = &rope->scaling;
    double low_length = scaling->original_max / scaling->low_freq_factor;
    double high_length = scaling->original_max / scaling->high_freq_factor;
    for (size_t i = 0; i < rope->dim / 2; i++) {
        double inverse = (double)rope->inverse[i], length = 2 * pi / inverse;
        double smooth = (scaling->original_max / length - scaling->low_freq_factor) /
                        (scaling->high_freq_factor - scaling->low_freq_factor);
        if (length > low_length)
            inverse /= scaling->factor;
        else if (length >= high_length)
            inverse = (1 - smooth) * inverse / scaling->factor + smooth * inverse;
        rope->inverse[i] = (float)inverse;
    }
}

void att_rope_init(struct att_rope *rope)
{
    assert(rope->dim >= 2 && rope->dim % 2 == 0 && rope->dim <= 2 * ATT_ROPE_HALF_MAX);
    rope->attention_factor = 1;
    plain(rope->dim, rope->base, rope->inverse);
    switch (rope->scaling.kind) {
    case ATT_ROPE_DEFAULT:
    case ATT_ROPE_DYNAMIC:
        break;
    case ATT_ROPE_LINEAR:
        for (size_t i = 0; i < rope->dim / 2; i++)
            rope->inverse[i] /= (float)rope->scaling.factor;
        break;
    case ATT_ROPE_YARN:
        yarn(rope);
        rope->attention_factor = (float)rope->scaling.attention_factor;
        break;
    case ATT_ROPE_LLAMA3:
        llama3(rope);
        break;
    }
}

void att_rope_angles(const struct att_rope *rope, size_t first, size_t n, float *cosines, float *sines)
{
    const struct att_rope_scaling *scaling = &rope->scaling;
    float grown[ATT_ROPE_HALF_MAX];
    const float *inverse = rope->inverse;
    size_t half = rope->dim / 2;
    double len = (double)(first + n);
    if (scaling->kind == ATT_ROPE_DYNAMIC && len > scaling->original_max && rope->dim > 2) {
        double growth = scaling->factor * len / scaling->original_max - (scaling->factor - 1);
        plain(rope->dim, rope->base * pow(growth, (double)rope->dim / (double)(rope->dim - 2)), grown);
        inverse = grown;
    }
    for (size_t t = 0; t < n; t++)
        for (size_t i = 0; i < half; i++) {
            float angle = (float)(first + t) * inverse[i];
            cosines[t * half + i] = cosf(angle) * rope->attention_factor;
            sines[t * half + i] = sinf(angle) * rope->attention_factor;
        }
}

void att_rope_angles_packed(const struct att_rope *rope, const uint32_t *cu_seqlens, const uint32_t *offsets,
                            size_t n_seqs, float *cosines, float *sines)
{
    for (size_t s = 0; s < n_seqs; s++) {
        size_t at = cu_seqlens[s] * (rope->dim / 2);
        att_rope_angles(rope, offsets ? offsets[s] : 0, cu_seqlens[s + 1] - cu_seqlens[s], cosines + at, sines + at);
    }
}

void att_rope_apply(const struct att_rope *rope, size_t n, size_t n_heads, size_t head_dim, const float *cosines,
                    const float *sines, float *x, size_t ld)
{
    size_t half = rope->dim / 2;
    assert(rope->dim <= head_dim);
    for (size_t t = 0; t < n; t++, cosines += half, sines += half)
        for (size_t h = 0; h < n_heads; h++) {
            float *low = x + t * ld + h * head_dim, *high = low + half;
            for (size_t i = 0; i < half; i++) {
                float a = low[i], b = high[i];
                low[i] = a * cosines[i] - b * sines[i];
                high[i] = b * cosines[i] + a * sines[i];
            }
        }
}
