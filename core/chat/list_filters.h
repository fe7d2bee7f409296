/* Filters over lists; the header of each is that of filters.c's table. */
#ifndef ATT_CHAT_LIST_FILTERS_H
#define ATT_CHAT_LIST_FILTERS_H

#include "core/chat/run.h"

#define ATT_LIST_FILTER(name)                                                                                          \
    bool att_filter_##name(struct att_run *run, struct att_value of, const struct att_arguments *arguments,            \
                           struct att_value *ret)

ATT_LIST_FILTER(join);
ATT_LIST_FILTER(first);
ATT_LIST_FILTER(last);
ATT_LIST_FILTER(list);
ATT_LIST_FILTER(items);
ATT_LIST_FILTER(dictsort);
ATT_LIST_FILTER(map);
ATT_LIST_FILTER(select);
ATT_LIST_FILTER(reject);
ATT_LIST_FILTER(selectattr);
ATT_LIST_FILTER(rejectattr);
ATT_LIST_FILTER(unique);
ATT_LIST_FILTER(sort);
ATT_LIST_FILTER(reverse);
ATT_LIST_FILTER(min);
ATT_LIST_FILTER(max);
ATT_LIST_FILTER(sum);
ATT_LIST_FILTER(batch);

#endif
