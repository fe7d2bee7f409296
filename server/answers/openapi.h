/*
 * GET /openapi.json: the contract, OpenAPI 3.1. The route table says which paths
 * and methods there are, who may call them and which errors they have; the files
 * in server/answers/openapi/ say, under "METHOD /path", what goes in and comes out:
 *
 *   {"operations": {"POST /v1/x": {
 *      "summary": "…",
 *      "path":    {"kb": SCHEMA},      parameters of the path that are more than a string
 *      "query":   {"limit": SCHEMA},   optional parameters behind the ?
 *      "request": SCHEMA,              of the body; with an "example" that is answered with 2xx
 *      "takes":   "application/x-ndjson",        the body's type where it is not JSON
 *      "answer":  SCHEMA,              none: no body
 *      "media":   "text/event-stream",           the answer's type where it is not JSON, or an array of types
 *      "status":  201}},               200 where it is not said
 *    "schemas": {"Name": SCHEMA}}      for "$ref": "#/components/schemas/Name"
 *
 * The build merges them (tools/embed.py). Tests hold them against the table and a
 * live daemon.
 */
#ifndef SRV_OPENAPI_H
#define SRV_OPENAPI_H

#include <stddef.h>

#include "core/base/json.h"
#include "tasks/task.h"

extern const unsigned char srv_openapi_text[];
extern const size_t srv_openapi_text_len;

/* The merged files. ATT_ENOMEM alone can fail; att_json_destroy. */
enum att_status srv_openapi_parts(struct att_json **ret_parts, struct att_err *err) ATT_MUST_USE;
/* The whole document, with the bounds that the configuration sets. */
enum att_status srv_openapi_render(struct att_jsonw *w, const struct task_limits *limits,
                                   struct att_err *err) ATT_MUST_USE;

#endif
