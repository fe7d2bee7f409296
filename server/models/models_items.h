/* Item tables, what follows what, and catalogues of the recommenders of a generation: for models.c alone. */
#ifndef SRV_MODELS_ITEMS_H
#define SRV_MODELS_ITEMS_H

#include "core/base/bulk.h"
#include "server/models/models.h"

/* After the models and their encoders. place: where large tables go, or went, since it says why one is in memory. */
enum att_status srv_models_open_items(struct srv_models *models, const struct srv_models_source *source,
                                      struct att_bulk_place *place, struct att_err *err) ATT_MUST_USE;

#endif
