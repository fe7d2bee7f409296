/*
 * The checks of guard.h. Names of fields compare without case; everything else
 * is compared as RFC 9110 and 9112 say, and where they leave room, the strict
 * reading is taken: a proxy in front may have taken the other one.
 */
#include "server/net/guard.h"

#include <string.h>
#include <strings.h>

#include "core/base/utf8.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_alpha(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* RFC 9110 section 5.6.2. */
static bool is_token_char(char c)
{
    return is_digit(c) || is_alpha(c) || (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static int hex_value(char c)
{
    if (is_digit(c))
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static bool text_is(const char *text, size_t len, const char *word)
{
    return strlen(word) == len && strncasecmp(text, word, len) == 0;
}

static bool name_is(const struct srv_header *header, const char *name)
{
    return text_is(header->name, header->name_len, name);
}

static bool value_is(const struct srv_header *header, const char *value)
{
    return text_is(header->value, header->value_len, value);
}

static enum srv_error refuse(enum srv_error error, struct att_err *err, const char *message)
{
    att_err_set(err, ATT_EINVAL, "%s", message);
    return error;
}

static enum srv_error check_field(const struct srv_header *header, struct att_err *err)
{
    if (header->name_len == 0)
        return refuse(SRV_ERR_HEADER, err, "a header field has no name");
    for (size_t i = 0; i < header->name_len; i++)
        if (!is_token_char(header->name[i]))
            return refuse(SRV_ERR_HEADER, err, "the name of a header field is not a token (RFC 9110 section 5.1)");
    for (size_t i = 0; i < header->value_len; i++) {
        unsigned char c = (unsigned char)header->value[i];

        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return refuse(SRV_ERR_HEADER, err, "the value of a header field has a control character");
    }
    return SRV_ERR_NONE;
}

/* host [":" port], without user information. */
static bool host_is_sane(const char *host, size_t len)
{
    if (len == 0 || len > 261)
        return false;
    for (size_t i = 0; i < len; i++)
        if (!is_digit(host[i]) && !is_alpha(host[i]) && (host[i] == '\0' || strchr("-._:[]%", host[i]) == NULL))
            return false;
    return true;
}

static enum srv_error note_length(const struct srv_header *header, struct srv_facts *facts, struct att_err *err)
{
    uint64_t length = 0;

    if (facts->has_length)
        return refuse(SRV_ERR_FRAMING, err, "several Content-Length fields, expected one");
    if (header->value_len == 0 || header->value_len > 18)
        return refuse(SRV_ERR_FRAMING, err, "Content-Length is not a number of bytes");
    for (size_t i = 0; i < header->value_len; i++) {
        if (!is_digit(header->value[i]))
            return refuse(SRV_ERR_FRAMING, err, "Content-Length is not a number of bytes");
        length = length * 10 + (uint64_t)(header->value[i] - '0');
    }
    facts->has_length = true;
    facts->content_length = length;
    return SRV_ERR_NONE;
}

static enum srv_error note_coding(const struct srv_header *header, struct srv_facts *facts, struct att_err *err)
{
    if (facts->chunked)
        return refuse(SRV_ERR_FRAMING, err, "several Transfer-Encoding fields, expected one");
    if (!value_is(header, "chunked"))
        return refuse(SRV_ERR_CODING, err, "Transfer-Encoding is not 'chunked', the only coding known here");
    facts->chunked = true;
    return SRV_ERR_NONE;
}

static enum srv_error note_once(const struct srv_header *header, const struct srv_header **slot, struct att_err *err)
{
    if (*slot != NULL)
        return refuse(SRV_ERR_HEADER, err, "a header field that stands once at most was sent several times");
    *slot = header;
    return SRV_ERR_NONE;
}

static enum srv_error note_field(const struct srv_header *header, struct srv_facts *facts,
                                 const struct srv_header **ret_host, struct att_err *err)
{
    if (name_is(header, "Content-Length"))
        return note_length(header, facts, err);
    if (name_is(header, "Transfer-Encoding"))
        return note_coding(header, facts, err);
    if (name_is(header, "Host"))
        return note_once(header, ret_host, err);
    if (name_is(header, "Content-Type"))
        return note_once(header, &facts->content_type, err);
    if (name_is(header, "Content-Encoding"))
        return note_once(header, &facts->content_encoding, err);
    if (name_is(header, "Authorization"))
        return note_once(header, &facts->authorization, err);
    if (name_is(header, "X-API-Key"))
        return note_once(header, &facts->api_key, err);
    if (name_is(header, "Origin"))
        return note_once(header, &facts->origin, err);
    if (name_is(header, "Last-Event-ID"))
        return note_once(header, &facts->last_event_id, err);
    if (name_is(header, "Inference-Header-Content-Length"))
        return note_once(header, &facts->json_length, err);
    if (name_is(header, "Expect")) {
        if (!value_is(header, "100-continue"))
            return refuse(SRV_ERR_EXPECT, err, "Expect is not '100-continue'");
        facts->expects_continue = true;
    } else if (name_is(header, "X-Request-Id")) {
        facts->request_id = header;
    } else if (name_is(header, "Traceparent")) {
        facts->traceparent = header;
    } else if (name_is(header, "X-Request-Timeout-Ms")) {
        return note_once(header, &facts->timeout_ms, err);
    }
    return SRV_ERR_NONE;
}

enum srv_error srv_guard_framing(const struct srv_head *head, struct srv_facts *ret_facts, struct att_err *err)
{
    struct srv_facts facts = {0};
    const struct srv_header *host = NULL;
    bool is_old = strcmp(head->version, "HTTP/1.0") == 0;
    enum srv_error error;

    if (!is_old && strcmp(head->version, "HTTP/1.1") != 0)
        return refuse(SRV_ERR_VERSION, err, "the HTTP version is not 1.0 or 1.1");
    if (head->n_headers > SRV_HEADERS_MAX) {
        att_err_limit(err, NULL, SRV_HEADERS_MAX, head->n_headers, "too many header fields");
        return SRV_ERR_HEADER_SIZE;
    }
    for (size_t i = 0; i < head->n_headers; i++) {
        error = check_field(&head->headers[i], err);
        if (error == SRV_ERR_NONE)
            error = note_field(&head->headers[i], &facts, &host, err);
        if (error != SRV_ERR_NONE)
            return error;
    }
    if (host == NULL && !is_old)
        return refuse(SRV_ERR_HEADER, err, "the Host field is missing");
    if (host != NULL && !host_is_sane(host->value, host->value_len))
        return refuse(SRV_ERR_HEADER, err, "the Host field is not a host name with an optional port");
    if (facts.chunked && facts.has_length)
        return refuse(SRV_ERR_FRAMING, err, "both Content-Length and Transfer-Encoding were sent");
    if (facts.chunked && is_old)
        return refuse(SRV_ERR_FRAMING, err, "Transfer-Encoding needs HTTP/1.1");
    *ret_facts = facts;
    return SRV_ERR_NONE;
}

bool srv_guard_has_body(const struct srv_facts *facts)
{
    return facts->chunked || (facts->has_length && facts->content_length > 0);
}

/* The only parameter of application/json that anybody sends: charset=utf-8, quoted or not. */
static bool parameter_is_utf8(const char *text, size_t len)
{
    while (len > 0 && (text[0] == ' ' || text[0] == '\t')) {
        text++;
        len--;
    }
    while (len > 0 && (text[len - 1] == ' ' || text[len - 1] == '\t'))
        len--;
    return len == 0 || text_is(text, len, "charset=utf-8") || text_is(text, len, "charset=\"utf-8\"") ||
           text_is(text, len, "charset=utf8");
}

static bool type_is(const char *text, size_t len, const char *type)
{
    const char *semicolon = memchr(text, ';', len);
    size_t type_len = semicolon != NULL ? (size_t)(semicolon - text) : len;

    while (type_len > 0 && (text[type_len - 1] == ' ' || text[type_len - 1] == '\t'))
        type_len--;
    if (!text_is(text, type_len, type))
        return false;
    return semicolon == NULL || parameter_is_utf8(semicolon + 1, len - (size_t)(semicolon - text) - 1);
}

bool srv_guard_is_lines(const struct srv_facts *facts)
{
    const struct srv_header *type = facts->content_type;

    return type != NULL && type_is(type->value, type->value_len, "application/x-ndjson");
}

enum srv_error srv_guard_coding(const struct srv_facts *facts, struct att_err *err)
{
    if (facts->content_encoding != NULL && !value_is(facts->content_encoding, "identity"))
        return refuse(SRV_ERR_MEDIA, err, "Content-Encoding is not accepted: send the body as it is");
    return SRV_ERR_NONE;
}

enum srv_error srv_guard_body(const struct srv_facts *facts, size_t body_bytes_max, struct att_err *err)
{
    if (facts->content_type == NULL)
        return refuse(SRV_ERR_MEDIA, err, "Content-Type is missing, expected application/json");
    if (!type_is(facts->content_type->value, facts->content_type->value_len, "application/json"))
        return refuse(SRV_ERR_MEDIA, err, "Content-Type is not application/json in UTF-8");
    if (srv_guard_coding(facts, err) != SRV_ERR_NONE)
        return SRV_ERR_MEDIA;
    if (facts->content_length > body_bytes_max) {
        att_err_limit(err, NULL, body_bytes_max, facts->content_length, "the body has %llu bytes, at most %zu are read",
                      (unsigned long long)facts->content_length, body_bytes_max);
        return SRV_ERR_BODY_SIZE;
    }
    return SRV_ERR_NONE;
}

bool srv_guard_key(const struct srv_facts *facts, const char **ret_key, size_t *ret_len)
{
    static const char scheme[] = "Bearer ";
    const struct srv_header *header = facts->authorization;

    if (header != NULL) {
        size_t len = sizeof(scheme) - 1;

        if (header->value_len <= len || strncasecmp(header->value, scheme, len) != 0)
            return false;
        while (len < header->value_len && header->value[len] == ' ')
            len++;
        *ret_key = header->value + len;
        *ret_len = header->value_len - len;
        return *ret_len > 0;
    }
    if (facts->api_key == NULL || facts->api_key->value_len == 0)
        return false;
    *ret_key = facts->api_key->value;
    *ret_len = facts->api_key->value_len;
    return true;
}

bool srv_guard_unescape(const char *text, size_t len, char *out, size_t max, size_t *ret_len)
{
    size_t n = 0;

    for (size_t i = 0; i < len; i++) {
        int high, low;

        if (n == max)
            return false;
        if (text[i] != '%') {
            out[n++] = text[i];
            continue;
        }
        if (len - i < 3)
            return false;
        high = hex_value(text[i + 1]);
        low = hex_value(text[i + 2]);
        if (high < 0 || low < 0 || (high == 0 && low == 0))
            return false;
        out[n++] = (char)(high * 16 + low);
        i += 2;
    }
    out[n] = '\0';
    *ret_len = n;
    return att_utf8_valid(out, n);
}

/* Whether "." or ".." stands between slashes. */
static bool has_dots(const char *text)
{
    for (;;) {
        size_t len = strcspn(text, "/");

        if ((len == 1 || len == 2) && strspn(text, ".") >= len)
            return true;
        if (text[len] == '\0')
            return false;
        text += len + 1;
    }
}

/* One segment of the path, however it is escaped: not "." or "..", no hidden separator, but in an id slashes. */
static bool segment_is_sane(const char *segment, size_t len, bool may_be_id)
{
    char decoded[SRV_SEGMENT_BYTES_MAX + 1];
    size_t n;

    if (!srv_guard_unescape(segment, len, decoded, SRV_SEGMENT_BYTES_MAX, &n))
        return false;
    if (has_dots(decoded) || (!may_be_id && strchr(decoded, '/') != NULL))
        return false;
    for (size_t i = 0; i < n; i++)
        if (decoded[i] == '\\' || (unsigned char)decoded[i] < 0x20 || decoded[i] == 0x7f)
            return false;
    return true;
}

static bool query_is_sane(const char *query)
{
    for (; *query != '\0'; query++) {
        if ((unsigned char)*query <= 0x20 || *query == 0x7f)
            return false;
        if (*query != '%')
            continue;
        if (hex_value(query[1]) < 0 || hex_value(query[2]) < 0 || (query[1] == '0' && query[2] == '0'))
            return false;
    }
    return true;
}

enum srv_error srv_guard_target(const char *target, struct att_err *err)
{
    const char *end = target + strcspn(target, "?");
    const char *segment = target + 1;

    if (strcmp(target, "*") == 0)
        return SRV_ERR_NONE;
    if (target[0] != '/')
        return refuse(SRV_ERR_TARGET, err, "the request target does not begin with '/'");
    while (segment <= end) {
        size_t len = strcspn(segment, "/?");

        if (!segment_is_sane(segment, len, segment + len == end))
            return refuse(SRV_ERR_TARGET, err, "the request target has a segment that is not allowed");
        segment += len + 1;
    }
    if (*end == '?' && !query_is_sane(end + 1))
        return refuse(SRV_ERR_TARGET, err, "the query of the request target is malformed");
    return SRV_ERR_NONE;
}

bool srv_guard_has_slash(const char *path)
{
    return strcasestr(path, "%2f") != NULL;
}

bool srv_guard_request_id(const char *value, size_t len)
{
    if (len == 0 || len > SRV_REQUEST_ID_MAX)
        return false;
    for (size_t i = 0; i < len; i++)
        if (!is_digit(value[i]) && !is_alpha(value[i]) && (value[i] == '\0' || strchr("-_.:", value[i]) == NULL))
            return false;
    return true;
}

bool srv_guard_traceparent(const char *value, size_t len)
{
    if (len != SRV_TRACEPARENT_LEN || value[0] != '0' || value[1] != '0')
        return false;
    for (size_t i = 0; i < len; i++) {
        bool is_dash = i == 2 || i == 35 || i == 52;

        if (is_dash ? value[i] != '-' : hex_value(value[i]) < 0 || (value[i] >= 'A' && value[i] <= 'F'))
            return false;
    }
    return true;
}
