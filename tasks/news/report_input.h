/* News that is posted with a report's request instead of being stored: read, analysed and clustered for it alone. */
#ifndef TASK_REPORT_INPUT_H
#define TASK_REPORT_INPUT_H

#include "news/report.h"
#include "tasks/news/news_analysis.h"
#include "tasks/news/news_item.h"
#include "tasks/window.h"

struct task_report_input {
    const struct task_model *const *models; /* [n], each item's; an element NULL: it is not classified */
    struct store_news_item *items;          /* [n], in the order of the request */
    struct task_news_analysis *analyses;
    struct task_windows *windows;
    struct task_windows_options options;
    size_t n;
    size_t *order; /* [n]: ascending in time; seq - 1 is an index into it */
};

/* Checks the items and leaves their jobs in the call. model NULL: those of the configuration, by language. */
enum att_status task_report_input_parse(struct task_call *call, const struct att_json *list,
                                        const struct task_model *model, struct task_report_input *ret_input,
                                        struct att_err *err) ATT_MUST_USE;
/* After the jobs: labels, entities and clusters, and all of it into the set. */
enum att_status task_report_input_conclude(struct task_call *call, struct task_report_input *input,
                                           struct news_set *set, struct att_err *err) ATT_MUST_USE;
struct news_lookup task_report_input_lookup(struct task_report_input *input);

#endif
