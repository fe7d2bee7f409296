/* See seeded.h. */
#include "core/io/seeded.h"

#include <math.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/io/json_file.h"

enum { FIRST = 4 };

static uint64_t fnv1a64(const char *text)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * 0x100000001b3u;
    return hash;
}

static float value_at(const struct att_tensor *tensor, size_t i)
{
    uint64_t z = tensor->seed + ((uint64_t)i + 1) * 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    z ^= z >> 31;
    return (float)(tensor->base + ((double)(z >> 40) * 0x1p-23 - 1.0) * tensor->amplitude);
}

void att_seeded_fill(const struct att_tensor *tensor, float *out)
{
    for (size_t i = 0; i < tensor->count; i++)
        out[i] = value_at(tensor, i);
}

static enum att_status read_shape(const char *file, const struct att_json *shape, struct att_tensor *tensor,
                                  struct att_err *err)
{
    bool known = att_json_is_array(shape) && att_json_count(shape) <= ATT_TENSOR_RANK_MAX;
    tensor->rank = known ? att_json_count(shape) : 0;
    tensor->count = 1;
    for (size_t i = 0; known && i < tensor->rank; i++) {
        int64_t dim = 0;
        known = att_json_integer(att_json_at(shape, i), 1, INT32_MAX, &dim) &&
                att_size_mul(tensor->count, (size_t)dim, &tensor->count);
        tensor->shape[i] = (size_t)dim;
    }
    return known ? ATT_OK
                 : att_err_set(err, ATT_EFORMAT, "%s: tensor '%s' has no shape of at most %d dimensions", file,
                               tensor->name, ATT_TENSOR_RANK_MAX);
}

static enum att_status check_first(const char *file, const struct att_json *first, const struct att_tensor *tensor,
                                   struct att_err *err)
{
    for (size_t i = 0; i < att_json_count(first) && i < FIRST && i < tensor->count; i++) {
        double expected = att_json_number(att_json_at(first, i), NAN), value = (double)value_at(tensor, i);
        if (!(fabs(value - expected) <= 1e-7 * fmax(1, fabs(expected))))
            return att_err_set(err, ATT_EFORMAT,
                               "%s: tensor '%s' begins with other values (%zu: %.9g, first4 says %.9g)", file,
                               tensor->name, i, value, expected);
    }
    return ATT_OK;
}

static enum att_status add_tensor(struct att_weights *weights, const char *file, uint64_t seed,
                                  const struct att_json *entry, struct att_err *err)
{
    const char *name = att_json_string(att_json_get(entry, "name"), NULL);
    struct att_tensor *tensor = &weights->tensors[weights->n_tensors];
    double base = att_json_number(att_json_get(entry, "base"), NAN);
    double amplitude = att_json_number(att_json_get(entry, "amp"), NAN);
    if (!name || !(fabs(base) < 1e30) || !(fabs(amplitude) < 1e30))
        return att_err_set(err, ATT_EFORMAT, "%s: tensors[%zu]: expected name, shape, base and amp", file,
                           weights->n_tensors);
    *tensor = (struct att_tensor){.name = att_mem_strdup(name),
                                  .dtype_name = "F32",
                                  .seeded = true,
                                  .seed = seed ^ fnv1a64(name),
                                  .base = base,
                                  .amplitude = amplitude};
    if (!tensor->name)
        return att_err_set(err, ATT_ENOMEM, "out of memory");
    weights->n_tensors++;
    enum att_status status = read_shape(file, att_json_get(entry, "shape"), tensor, err);
    return status == ATT_OK ? check_first(file, att_json_get(entry, "first4"), tensor, err) : status;
}

enum att_status att_seeded_open(const struct att_dir *dir, const char *spec, struct att_weights *ret_weights,
                                struct att_err *err)
{
    struct att_weights weights = {.n_shards = 0};
    struct att_json *root = NULL;
    int64_t seed = 0;
    enum att_status status = att_weights_add_file(&weights, dir, spec, err); /* for its digest */
    if (status == ATT_OK)
        status = att_json_file(dir, spec, false, &root, err);
    const struct att_json *tensors = att_json_get(root, "tensors");
    if (status == ATT_OK && !att_json_integer(att_json_get(root, "seed"), 0, INT64_C(1) << 53, &seed))
        status = att_err_set(err, ATT_EFORMAT, "%s: seed: expected an integer", spec);
    if (status == ATT_OK)
        status = att_weights_reserve(&weights, att_json_count(tensors), err);
    for (size_t i = 0; status == ATT_OK && i < att_json_count(tensors); i++)
        status = add_tensor(&weights, spec, (uint64_t)seed, att_json_at(tensors, i), err);
    if (status == ATT_OK)
        status = att_weights_sort(&weights, spec, err);
    att_json_destroy(root);
    if (status == ATT_OK)
        *ret_weights = weights;
    else
        att_weights_close(&weights);
    return status;
}
