/* What json.c needs of the writer beyond json.h. */
#ifndef ATT_BASE_JSONW_H
#define ATT_BASE_JSONW_H

#include "core/base/json.h"

/* The comma before a value, where one is due. */
void att_jsonw_separate(struct att_jsonw *w);

#endif
