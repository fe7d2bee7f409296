/* The news store and the dictionary of entities of a generation: for models.c alone. */
#ifndef SRV_MODELS_NEWS_H
#define SRV_MODELS_NEWS_H

#include "server/models/models.h"

/* After the models. Shares with the older generation what has not changed. */
enum att_status srv_models_open_news(struct srv_models *models, const struct srv_models_source *source,
                                     struct att_err *err) ATT_MUST_USE;

#endif
