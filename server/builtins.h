/* Answers that need no task: health, readiness, metrics, the list of models and one model's card. */
#ifndef SRV_BUILTINS_H
#define SRV_BUILTINS_H

#include "server/routes.h"

srv_builtin srv_builtin_healthz, srv_builtin_readyz, srv_builtin_metrics, srv_builtin_openapi, srv_builtin_models,
    srv_builtin_model;

#endif
