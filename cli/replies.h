/* Questions with their right entry, asked of a knowledge base as /v1/reply would be: for eval and for kb fit. */
#ifndef CLI_REPLIES_H
#define CLI_REPLIES_H

#include "cli/cli.h"

/* A line {"question","context","previous_id","expect"}. */
struct cli_reply_line {
    const char *question;
    bool follow_up, cjk;
    int64_t expect; /* 0: null, a person should answer */
};

struct cli_reply_request {
    const char *rewrite; /* or NULL: the default */
    bool features;       /* fifty entries with what their scores are made of, instead of three */
    bool hybrid;         /* without the cross-encoder */
};

/* For every line of the file: `take` gets the line and the answer of /v1/reply. Errors name the file and line. */
enum att_status cli_replies_run(const struct cli_env *env, const char *path, const struct cli_reply_request *request,
                                enum att_status (*take)(void *context, const struct cli_reply_line *line,
                                                        const struct att_json *answer, struct att_err *err),
                                void *context, struct att_err *err) ATT_MUST_USE;

#endif
