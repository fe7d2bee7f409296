/*
 * Guard: what a request may look like before anything acts on it. Pure
 * functions over the request line and the header fields as received.
 *
 * libmicrohttpd 0.9.75 lets several framing attacks through (two lengths, a
 * length beside a transfer coding, unknown codings, names that are no tokens);
 * RFC 9112 section 6.3 and RFC 9110 section 5.1 are enforced here instead. A
 * refusal of the framing must close the connection: where the next request
 * begins is then unknown.
 */
#ifndef SRV_GUARD_H
#define SRV_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/request/errors.h"

enum { SRV_HEADERS_MAX = 100, SRV_REQUEST_ID_MAX = 128, SRV_TRACEPARENT_LEN = 55, SRV_QUERY_MAX = 32 };
/* Of a path's segment, decoded: the longest id that a write accepts. */
enum { SRV_SEGMENT_BYTES_MAX = 256 };

struct srv_header {
    const char *name, *value; /* not NUL-terminated where the lengths say otherwise */
    size_t name_len, value_len;
};

struct srv_head {
    const char *method, *path, *version; /* path: as received, before '?', not decoded */
    const struct srv_header *headers;
    size_t n_headers;
    const struct srv_header *query; /* parameters behind '?', '+' read as a blank, escapes not decoded */
    size_t n_query;                 /* of all, also those beyond SRV_QUERY_MAX */
};

/* What the checks found out; pointers lie in the head's memory. */
struct srv_facts {
    bool has_length, chunked, expects_continue;
    uint64_t content_length;
    const struct srv_header *content_type, *content_encoding, *request_id, *traceparent, *timeout_ms, *authorization,
        *api_key, *origin, *last_event_id, *json_length; /* json_length: KServe's Inference-Header-Content-Length */
};

/* Names, Host, lengths, codings, version. SRV_ERR_NONE when sound; else the connection must close. */
enum srv_error srv_guard_framing(const struct srv_head *head, struct srv_facts *ret_facts, struct att_err *err);
/* The raw target with its query: origin form, or "*". No %00, no dot segments however encoded; an
 * encoded slash in the last segment alone, where routes.h says which paths take it. */
enum srv_error srv_guard_target(const char *target, struct att_err *err);
/* Content-Type application/json in UTF-8, no content coding, the announced size within body_bytes_max. */
enum srv_error srv_guard_body(const struct srv_facts *facts, size_t body_bytes_max, struct att_err *err);
/* Whether a path that srv_guard_target let through has an encoded slash. */
bool srv_guard_has_slash(const char *path);
bool srv_guard_has_body(const struct srv_facts *facts);
/* X-Request-Id that may be echoed and logged: 1 to SRV_REQUEST_ID_MAX letters, digits or "-_.:". */
bool srv_guard_request_id(const char *value, size_t len);
/* W3C traceparent, version 00. */
bool srv_guard_traceparent(const char *value, size_t len);
/* The API key of "Authorization: Bearer KEY" or "X-API-Key: KEY": false when neither was sent, or another scheme. */
/* Whether the body is lines, application/x-ndjson; then its length does not count, and it is checked by this alone.
 */
bool srv_guard_is_lines(const struct srv_facts *facts);
enum srv_error srv_guard_coding(const struct srv_facts *facts, struct att_err *err);
bool srv_guard_key(const struct srv_facts *facts, const char **ret_key, size_t *ret_len);
/* Decodes %XX of len bytes into out (capacity max + 1), NUL-terminated. False on a bad escape, %00, bytes that are not
 * UTF-8, or more than max of them. */
bool srv_guard_unescape(const char *text, size_t len, char *out, size_t max, size_t *ret_len);

#endif
