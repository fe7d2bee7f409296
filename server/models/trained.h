/*
 * Trained classifiers: every folder in [server] classifiers is a model of that
 * name, as if the configuration had a section for it. The folder is read when a
 * generation is made, which is what POST and DELETE /v1/classifiers bring about.
 */
#ifndef SRV_TRAINED_H
#define SRV_TRAINED_H

#include "server/config/config.h"
#include "server/watch/log.h"

/* Sections for the folders whose names the configuration does not have; srv_trained_free. */
enum att_status srv_trained_list(const struct srv_config *config, const struct srv_log *log,
                                 struct srv_config_model **ret_list, size_t *ret_count,
                                 struct att_err *err) ATT_MUST_USE;
void srv_trained_free(struct srv_config_model *list, size_t count); /* NULL is allowed */

#endif
