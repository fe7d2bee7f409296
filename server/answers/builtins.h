/* Answers that need no task: health, readiness, metrics, the list of models and one model's card. */
#ifndef SRV_BUILTINS_H
#define SRV_BUILTINS_H

#include "server/request/routes.h"

srv_builtin srv_builtin_healthz, srv_builtin_readyz, srv_builtin_metrics, srv_builtin_openapi, srv_builtin_models,
    srv_builtin_classifiers, srv_builtin_model;

/* Of other servers' paths (builtins_wire.c). */
srv_builtin srv_builtin_tei_health, srv_builtin_tei_info, srv_builtin_kserve_server, srv_builtin_kserve_live,
    srv_builtin_kserve_ready, srv_builtin_kserve_model, srv_builtin_kserve_model_ready;

/* What the files of built-in answers share. */
enum { SRV_BUILTIN_BYTES_MAX = 1048576 };
/* Hands over what was written, and finishes the writer. */
enum att_status srv_builtin_take(struct att_jsonw *w, struct srv_builtin_answer *ret_answer,
                                 struct att_err *err) ATT_MUST_USE;
/* ATT_EUNREADY once the daemon drains. */
enum att_status srv_builtin_check_ready(struct srv_server *server, struct att_err *err) ATT_MUST_USE;

#endif
