/* The list of linger.h: short, so it is searched from its start. */
#include "server/net/linger.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/mem.h"

enum { LINGER_US = 2000000, LINGERS_MAX = 256, READ_BYTES = 65536 };

struct srv_linger {
    struct srv_source source; /* first: found by casting back */
    struct srv_linger *next;
    int fd;
    uint64_t until_us;
};

void srv_lingers_add(struct srv_lingers *lingers, int conn_fd, int kind)
{
    struct srv_linger *linger;
    struct epoll_event event = {.events = EPOLLIN};
    int fd;

    if (lingers->count >= LINGERS_MAX)
        return;
    linger = att_mem_calloc(1, sizeof(*linger));
    fd = linger != NULL ? dup(conn_fd) : -1;
    if (fd < 0) {
        att_mem_free(linger);
        return;
    }
    linger->source.kind = kind;
    linger->fd = fd;
    linger->until_us = att_clock_us() + LINGER_US;
    linger->next = lingers->first;
    lingers->first = linger;
    lingers->count++;
    event.data.ptr = linger;
    (void)shutdown(fd, SHUT_WR);
    (void)epoll_ctl(lingers->epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

static void close_one(struct srv_lingers *lingers, struct srv_linger **link)
{
    struct srv_linger *linger = *link;

    *link = linger->next;
    lingers->count--;
    /* The library may still hold the first descriptor, which alone would keep the socket in the set. */
    (void)epoll_ctl(lingers->epoll_fd, EPOLL_CTL_DEL, linger->fd, NULL);
    close(linger->fd);
    att_mem_free(linger);
}

void srv_lingers_read(struct srv_lingers *lingers, struct srv_source *source)
{
    struct srv_linger *linger = (struct srv_linger *)source;
    char waste[READ_BYTES];
    ssize_t n = read(linger->fd, waste, sizeof(waste));

    if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)))
        return;
    for (struct srv_linger **link = &lingers->first; *link != NULL; link = &(*link)->next) {
        if (*link == linger) {
            close_one(lingers, link);
            return;
        }
    }
}

void srv_lingers_expire(struct srv_lingers *lingers, uint64_t now_us)
{
    for (struct srv_linger **link = &lingers->first; *link != NULL;) {
        if (now_us >= (*link)->until_us)
            close_one(lingers, link);
        else
            link = &(*link)->next;
    }
}
