/* attend inspect --compare-dtype: what bf16 and int8 lose on given texts. */
#ifndef CLI_COMPARE_H
#define CLI_COMPARE_H

#include "cli/cli.h"

/* One model in one dtype against f32. */
struct cli_comparison {
    enum att_dtype dtype;
    size_t n_texts;
    double cosine_min, cosine_mean; /* of the pooled vectors */
    size_t n_decisions, n_agree;    /* labels of all heads, one a text (of each token with token heads); 0: no head */
    double probability_change;      /* largest */
    size_t weight_bytes, weight_bytes_of_f32;
};

/* Loads the directory in f32 and in `dtype` and runs the texts of a JSONL file, {"text":…} a line, through both. */
enum att_status cli_compare(const char *dir, const struct cli_options *options, enum att_dtype dtype,
                            struct cli_comparison *ret_comparison, struct att_err *err) ATT_MUST_USE;

#endif
