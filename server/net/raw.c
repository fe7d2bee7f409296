/* A whole HTTP/1.1 error answer in one send(2), on the stack: it must work when memory is short. */
#include "server/net/raw.h"

#include <stdio.h>
#include <sys/socket.h>

static const char *reason_of(unsigned status)
{
    switch (status) {
    case 400:
        return "Bad Request";
    case 408:
        return "Request Timeout";
    case 413:
        return "Content Too Large";
    case 429:
        return "Too Many Requests";
    case 503:
        return "Service Unavailable";
    default:
        return "Error";
    }
}

void srv_raw_answer(int fd, enum srv_error error, const struct att_err *err)
{
    const struct srv_error_row *row = srv_error_row(error);
    char body[256], answer[768], retry[40] = "";
    int body_len, len;

    /* Only numbers and our own words: nothing here needs escaping. */
    body_len = snprintf(body, sizeof(body),
                        "{\"error\":{\"message\":\"%s\",\"type\":\"%s\",\"code\":\"%s\",\"param\":null,\"limit\":%llu,"
                        "\"given\":%llu,\"request_id\":null}}",
                        row->code, row->type, row->code, err != NULL ? (unsigned long long)err->limit : 0,
                        err != NULL ? (unsigned long long)err->given : 0);
    if (row->retry_after_s > 0)
        snprintf(retry, sizeof(retry), "Retry-After: %u\r\n", row->retry_after_s);
    len = snprintf(
        answer, sizeof(answer),
        "HTTP/1.1 %u %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%sConnection: close\r\n\r\n%s",
        row->status, reason_of(row->status), body_len, retry, body);
    if (len > 0 && (size_t)len < sizeof(answer))
        (void)!send(fd, answer, (size_t)len, MSG_DONTWAIT | MSG_NOSIGNAL);
}
