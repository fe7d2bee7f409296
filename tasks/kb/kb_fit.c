/* See kb_fit.h. */
#include "tasks/kb/kb_fit.h"

#include <math.h>
#include <string.h>

enum { JSON_DEPTH = 8 };

/*
 * Fitted for all-MiniLM-L6-v2 by tools/train/reply.py: the weights are round numbers where the first answer is right
 * most often on models/support-kb/eval.jsonl (all of it, which flatters them a little) and on banking77's training
 * questions; `half` and the logistic by maximum likelihood on "the first answer is right" over the even lines alone,
 * with CLINC150's out-of-scope questions among the negatives of the Latin row; `knee` so that the default margin
 * parts rivals from clear answers.
 */
static const struct task_fit defaults = {
    .latin = {{0.40f, 0.40f, 0.10f, 0.10f}, 0, 0.48f, 0.84f, 25.2f, 2.3f, -12.4f},
    .cjk = {{0.10f, 0, 0.45f, 0.45f}, 0, 0.44f, 0.70f, 13.3f, 8.5f, -6.5f},
    .threshold = 0.5,
    .margin = 0.05,
    /* Cross-encoders are trained so that their sigmoid is a probability. */
    .rerank = {.mix = 1, .per_score = 10, .bias = -5, .threshold = 0.5, .margin = 0.05},
};
static const float same_words = 0.9999f; /* likeness of texts with the same n-grams, less rounding */
static const float width = 0.2f;         /* of the score's middle part, in s */

void task_fit_default(float floor, struct task_fit *fit)
{
    *fit = defaults;
    fit->latin.floor = fit->cjk.floor = floor;
}

/* ---- as JSON ---- */

/* A member of one of the three parts: its name, its place and the values that make sense. */
struct member {
    const char *name;
    size_t offset;
    float min, max;
};

#define MEMBER(name, field, min, max)                                                                                  \
    {                                                                                                                  \
        name, offsetof(struct task_calibration, field), min, max                                                       \
    }
static const struct member row_members[] = {
    MEMBER("best", weights.best, 0, 1),
    MEMBER("near", weights.near, 0, 1),
    MEMBER("lexical", weights.lexical, 0, 1),
    MEMBER("covered", weights.covered, 0, 1),
    MEMBER("floor", floor, -1, 0.99f),
    MEMBER("half", half, 0.01f, 0.79f),
    MEMBER("knee", knee, 0.5f, 1),
    MEMBER("per_s", per_s, -1000, 1000),
    MEMBER("per_lead", per_lead, -1000, 1000),
    MEMBER("bias", bias, -1000, 1000),
};
#undef MEMBER
#define MEMBER(name, field, min, max)                                                                                  \
    {                                                                                                                  \
        name, offsetof(struct task_rerank_fit, field), min, max                                                        \
    }
static const struct member rerank_members[] = {
    MEMBER("mix", mix, 0, 1),
    MEMBER("per_score", per_score, -1000, 1000),
    MEMBER("per_lead", per_lead, -1000, 1000),
    MEMBER("bias", bias, -1000, 1000),
};
#undef MEMBER
enum { N_ROW = sizeof row_members / sizeof *row_members, N_RERANK = sizeof rerank_members / sizeof *rerank_members };

static enum att_status wrong(const char *part, const char *name, struct att_err *err)
{
    return att_err_set(err, ATT_EFORMAT, "the knowledge base's calibration is damaged: %s%s%s; run attend kb fit again",
                       part, *part ? "." : "", name);
}

static enum att_status read_members(const struct att_json *object, const char *part, const struct member *members,
                                    size_t n, void *base, struct att_err *err)
{
    for (size_t i = 0; i < n; i++) {
        double value = att_json_number(att_json_get(object, members[i].name), NAN);
        if (!(value >= (double)members[i].min && value <= (double)members[i].max))
            return wrong(part, members[i].name, err);
        *(float *)(void *)((char *)base + members[i].offset) = (float)value;
    }
    return ATT_OK;
}

/* "threshold" and "margin" of a part. */
static enum att_status read_bounds(const struct att_json *object, const char *part, double *threshold, double *margin,
                                   struct att_err *err)
{
    double read[2] = {att_json_number(att_json_get(object, "threshold"), NAN),
                      att_json_number(att_json_get(object, "margin"), NAN)};
    for (size_t i = 0; i < 2; i++)
        if (!(read[i] >= 0 && read[i] <= 1))
            return wrong(part, i == 0 ? "threshold" : "margin", err);
    *threshold = read[0];
    *margin = read[1];
    return ATT_OK;
}

static enum att_status read_rerank(const struct att_json *object, struct task_rerank_fit *rerank, struct att_err *err)
{
    size_t len = 0;
    const char *digest = att_json_string(att_json_get(object, "model"), &len);
    if (!att_json_is_object(object))
        return ATT_OK;
    if (!digest || len != sizeof rerank->digest - 1)
        return wrong("rerank", "model", err);
    enum att_status status = read_members(object, "rerank", rerank_members, N_RERANK, rerank, err);
    if (status == ATT_OK)
        status = read_bounds(object, "rerank", &rerank->threshold, &rerank->margin, err);
    memcpy(rerank->digest, digest, sizeof rerank->digest);
    return status;
}

static enum att_status read_rows(const struct att_json *json, struct task_fit *fit, struct att_err *err)
{
    enum att_status status = read_members(att_json_get(json, "latin"), "latin", row_members, N_ROW, &fit->latin, err);
    if (status == ATT_OK)
        status = read_members(att_json_get(json, "cjk"), "cjk", row_members, N_ROW, &fit->cjk, err);
    if (status == ATT_OK)
        status = read_bounds(json, "", &fit->threshold, &fit->margin, err);
    return status;
}

/* The defaults, as the encoder's attend.json has them under "reply". */
static enum att_status read_model(const struct att_model_info *encoder, struct task_fit *fit, struct att_err *err)
{
    const struct att_json *own = att_json_get(encoder->attend_json, "reply");
    task_fit_default(encoder->cosine_floor, fit);
    if (!own || read_rows(own, fit, err) == ATT_OK)
        return ATT_OK;
    return att_err_set(err, ATT_EFORMAT,
                       "%s/attend.json: reply: expected latin, cjk, threshold and margin as attend "
                       "kb fit writes them",
                       encoder->dir);
}

enum att_status task_fit_parse(const char *text, const struct att_model_info *encoder, struct task_fit *fit,
                               struct att_err *err)
{
    struct att_json *json = NULL;
    enum att_status status = read_model(encoder, fit, err);
    if (status != ATT_OK || !text)
        return status;
    status = att_json_parse(text, strlen(text), 0, JSON_DEPTH, &json, err);
    if (status == ATT_ENOMEM)
        return status;
    if (status != ATT_OK)
        return wrong("", "no JSON", err);
    status = read_rows(json, fit, err);
    if (status == ATT_OK)
        status = read_rerank(att_json_get(json, "rerank"), &fit->rerank, err);
    fit->fitted = true;
    att_json_destroy(json);
    return status;
}

static void put_members(const struct member *members, size_t n, const void *base, struct att_jsonw *w)
{
    for (size_t i = 0; i < n; i++)
        att_jsonw_put_float(w, members[i].name, *(const float *)(const void *)((const char *)base + members[i].offset));
}

static void put_bounds(double threshold, double margin, struct att_jsonw *w)
{
    att_jsonw_put_double(w, "threshold", threshold, 6);
    att_jsonw_put_double(w, "margin", margin, 6);
}

void task_fit_render(const struct task_fit *fit, struct att_jsonw *w)
{
    put_bounds(fit->threshold, fit->margin, w);
    att_jsonw_key(w, "latin");
    att_jsonw_object_begin(w);
    put_members(row_members, N_ROW, &fit->latin, w);
    att_jsonw_object_end(w);
    att_jsonw_key(w, "cjk");
    att_jsonw_object_begin(w);
    put_members(row_members, N_ROW, &fit->cjk, w);
    att_jsonw_object_end(w);
    if (!fit->rerank.digest[0])
        return;
    att_jsonw_key(w, "rerank");
    att_jsonw_object_begin(w);
    att_jsonw_put_text(w, "model", fit->rerank.digest);
    put_members(rerank_members, N_RERANK, &fit->rerank, w);
    put_bounds(fit->rerank.threshold, fit->rerank.margin, w);
    att_jsonw_object_end(w);
}

/* ---- the numbers ---- */

float task_features_near(const struct task_match_features *features)
{
    return features->lexical > same_words ? features->best : features->near;
}

float task_features_fuse(const struct task_match_features *features, const struct task_calibration *calibration)
{
    const struct task_match_features *w = &calibration->weights;
    float floor = calibration->floor, range = 1 - floor;
    return w->best * ((features->best - floor) / range) + w->near * ((task_features_near(features) - floor) / range) +
           w->lexical * features->lexical + w->covered * features->covered;
}

/* Its own slope up to the knee, where most right answers and their rivals lie; then straight to 1. */
float task_calibration_score(const struct task_calibration *calibration, float s)
{
    const float half = calibration->half, knee = calibration->knee;
    float score = s < half           ? 0.5f * s / half
                  : s < half + width ? 0.5f + (knee - 0.5f) * (s - half) / width
                                     : knee + (1 - knee) * (s - half - width) / (1 - half - width);
    return score < 0 ? 0 : score > 1 ? 1 : score;
}

double task_sigmoid(double logit)
{
    return 1 / (1 + exp(-logit));
}
