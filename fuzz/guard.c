/*
 * Any bytes as the head of a request: a request line, then lines of header
 * fields. What the guard lets through is framed in one way only, its target
 * leads nowhere else, and the route table matches it without harm.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/base/utf8.h"
#include "fuzz/target.h"
#include "server/net/guard.h"
#include "server/request/routes.h"

/* A NUL-terminated copy of its own, so that a sanitizer sees one byte too many. */
static char *copy(const char *bytes, size_t len)
{
    char *text = malloc(len + 1);
    check(text != NULL);
    memcpy(text, bytes, len);
    text[len] = '\0';
    return text;
}

/* The word up to `end` or the line's end; *at moves behind it and its separator. */
static char *take(const char **at, const char *end, char separator, size_t *ret_len)
{
    const char *from = *at, *to = from;
    while (to < end && *to != separator && *to != '\n')
        to++;
    *ret_len = (size_t)(to - from);
    *at = to < end && *to == separator ? to + 1 : to;
    return copy(from, *ret_len);
}

static void check_facts(const struct srv_head *head, const struct srv_facts *facts)
{
    size_t lengths = 0, codings = 0, hosts = 0;
    for (size_t i = 0; i < head->n_headers; i++) {
        const struct srv_header *header = &head->headers[i];
        check(header->name_len > 0 && !memchr(header->name, ' ', header->name_len));
        check(!memchr(header->value, '\r', header->value_len) && !memchr(header->value, '\0', header->value_len));
        lengths += strcasecmp(header->name, "content-length") == 0;
        codings += strcasecmp(header->name, "transfer-encoding") == 0;
        hosts += strcasecmp(header->name, "host") == 0;
    }
    check(lengths + codings <= 1 && hosts <= 1);
    check(facts->has_length == (lengths == 1) && facts->chunked == (codings == 1));
    check(srv_guard_has_body(facts) == (facts->chunked || facts->content_length > 0));
}

static void check_target(const char *method, char *target)
{
    struct srv_match match;
    char *decoded = copy(target, strlen(target));
    size_t len = 0;
    if (srv_guard_target(target, NULL) == SRV_ERR_NONE) {
        target[strcspn(target, "?")] = '\0';
        check(strcmp(target, "*") == 0 || target[0] == '/');
        check(srv_guard_unescape(target, strlen(target), decoded, strlen(target), &len));
        check(len <= strlen(target) && decoded[len] == '\0' && strlen(decoded) == len && att_utf8_valid(decoded, len));
        check(!strstr(decoded, "/../") && !strchr(decoded, '\\'));
        srv_route_match(method, target, &match);
        check(match.path_known || !match.route);
        for (size_t i = 0; match.route && i < match.n_params; i++)
            check(att_utf8_valid(match.params[i], strlen(match.params[i])));
    }
    free(decoded);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static struct srv_header headers[SRV_HEADERS_MAX + 2];
    const char *at = (const char *)bytes, *end = at + size;
    struct srv_facts facts;
    size_t len, n = 0;
    if (size == 0)
        return 0;
    char *method = take(&at, end, ' ', &len), *target = take(&at, end, ' ', &len),
         *version = take(&at, end, '\n', &len);
    while (at < end && n < SRV_HEADERS_MAX + 2) {
        at += *at == '\n' && n > 0 ? 1 : 0;
        headers[n].name = take(&at, end, ':', &headers[n].name_len);
        headers[n].value = take(&at, end, '\n', &headers[n].value_len);
        n++;
    }
    struct srv_head head = {.method = method, .path = target, .version = version, .headers = headers, .n_headers = n};
    if (srv_guard_framing(&head, &facts, NULL) == SRV_ERR_NONE) {
        check_facts(&head, &facts);
        if (srv_guard_body(&facts, 1000, NULL) == SRV_ERR_NONE)
            check(facts.content_type && facts.content_length <= 1000);
    }
    for (size_t i = 0; i < n; i++) {
        const struct srv_header *header = &headers[i];
        if (srv_guard_request_id(header->value, header->value_len))
            check(strspn(header->value, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_.:") ==
                  header->value_len);
        if (srv_guard_traceparent(header->value, header->value_len))
            check(header->value_len == SRV_TRACEPARENT_LEN && strchr(header->value, ' ') == NULL);
        free((void *)(uintptr_t)header->name);
        free((void *)(uintptr_t)header->value);
    }
    check_target(method, target);
    free(version);
    free(target);
    free(method);
    return 0;
}
