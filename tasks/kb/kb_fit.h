/*
 * How the likeness of a question and an entry becomes a score, a confidence and
 * a decision. The numbers belong to one knowledge base and one encoder: cosines
 * of one encoder spread over 0..0.8, of another over 0.75..0.95, and what share
 * of answers at a score is right depends on the questions that come. Where
 * `attend kb fit` has measured them they stand in the file; else the defaults.
 *
 *   feature f  cosines are stretched: (f - floor) / (1 - floor)
 *   s          weighted sum of the features (match.h), and the dialogue's bonus
 *   score      0.5 at s = half, `knee` at half + 0.2, straight lines between
 *   confidence sigmoid(per_s · s + per_lead · lead + bias): share of right answers
 *
 * With a cross-encoder the score is (1 - mix) · score + mix · sigmoid(its logit)
 * and the confidence a sigmoid over that score and its lead.
 */
#ifndef TASK_KB_FIT_H
#define TASK_KB_FIT_H

#include "core/attend.h"

struct task_match_features {
    float best, near, lexical, covered;
};

/* For questions of one kind of script. */
struct task_calibration {
    struct task_match_features weights; /* sum to 1 */
    float floor;                        /* cosine of texts that have nothing in common; below 1 */
    float half, knee;
    float per_s, per_lead, bias;
};

/* For answers that a cross-encoder has reordered. */
struct task_rerank_fit {
    char digest[65]; /* of the cross-encoder; "": not fitted */
    float mix, per_score, per_lead, bias;
    double threshold, margin;
};

struct task_fit {
    struct task_calibration latin, cjk;
    double threshold, margin;
    bool fitted;
    struct task_rerank_fit rerank;
};

/* What holds where nothing is fitted; floor: the encoder's, as its model directory says (info.cosine_floor). */
void task_fit_default(float floor, struct task_fit *fit);
/* Reads what task_fit_render wrote; `text` NULL: the defaults of the encoder. ATT_EFORMAT names the member that is
 * wrong. */
enum att_status task_fit_parse(const char *text, const struct att_model_info *encoder, struct task_fit *fit,
                               struct att_err *err) ATT_MUST_USE;
/* The object's members; the caller opens and closes it, and may add members of its own before or after. */
void task_fit_render(const struct task_fit *fit, struct att_jsonw *w);

/* near counts as best where the words are the same: what is asked word for word needs no other phrasing to agree. */
float task_features_near(const struct task_match_features *features);
/* s without the bonus. */
float task_features_fuse(const struct task_match_features *features, const struct task_calibration *calibration);
float task_calibration_score(const struct task_calibration *calibration, float s);
double task_sigmoid(double logit);

#endif
