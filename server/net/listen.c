/*
 * Opening the listening socket, and closing it without losing clients. Addresses are numeric: a name would make the
 * start depend on a resolver, and could bind somewhere else tomorrow.
 */
#include "server/net/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 4096 };

static bool parse_port(const char *text, uint16_t *ret)
{
    char *end;
    unsigned long port = strtoul(text, &end, 10);

    if (text[0] < '0' || text[0] > '9' || *end != '\0' || port > 65535)
        return false;
    *ret = (uint16_t)port;
    return true;
}

static bool parse_address(const char *text, struct sockaddr_storage *ret, socklen_t *ret_len)
{
    struct sockaddr_in ipv4 = {.sin_family = AF_INET};
    struct sockaddr_in6 ipv6 = {.sin6_family = AF_INET6};
    const char *colon = strrchr(text, ':');
    char host[SRV_ADDRESS_MAX];
    bool is_ipv6 = text[0] == '[';
    size_t len;
    uint16_t port;

    if (colon == NULL || !parse_port(colon + 1, &port))
        return false;
    len = (size_t)(colon - text);
    if (len >= sizeof(host) || (is_ipv6 && (len < 2 || text[len - 1] != ']')))
        return false;
    snprintf(host, sizeof(host), "%.*s", (int)(is_ipv6 ? len - 2 : len), is_ipv6 ? text + 1 : text);
    memset(ret, 0, sizeof(*ret));
    if (is_ipv6) {
        ipv6.sin6_port = htons(port);
        memcpy(ret, &ipv6, sizeof(ipv6));
        *ret_len = sizeof(ipv6);
        return inet_pton(AF_INET6, host, &((struct sockaddr_in6 *)ret)->sin6_addr) == 1;
    }
    ipv4.sin_port = htons(port);
    memcpy(ret, &ipv4, sizeof(ipv4));
    *ret_len = sizeof(ipv4);
    return inet_pton(AF_INET, host, &((struct sockaddr_in *)ret)->sin_addr) == 1;
}

static enum att_status open_tcp(const char *address, int *ret_fd, struct att_err *err)
{
    struct sockaddr_storage socket_address;
    socklen_t len;
    int on = 1, fd;

    if (!parse_address(address, &socket_address, &len))
        return att_err_set(err, ATT_EINVAL,
                           "listen = %s: expected ADDRESS:PORT with a numeric address, as 127.0.0.1:8080, or unix:PATH",
                           address);
    fd = socket(socket_address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return att_err_set(err, ATT_EIO, "cannot listen on %s: %s", address, strerror(errno));
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (bind(fd, (struct sockaddr *)&socket_address, len) != 0 || listen(fd, BACKLOG) != 0) {
        att_err_set(err, ATT_EIO, "cannot listen on %s: %s", address, strerror(errno));
        close(fd);
        return ATT_EIO;
    }
    *ret_fd = fd;
    return ATT_OK;
}

/* A socket that a daemon left behind when it was killed: nobody answers there any more. */
static bool is_stale(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    bool stale =
        fd >= 0 && connect(fd, (const struct sockaddr *)address, sizeof(*address)) != 0 && errno == ECONNREFUSED;

    if (fd >= 0)
        close(fd);
    return stale;
}

static enum att_status open_unix(const char *path, mode_t mode, struct srv_listener *listener, struct att_err *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = strlen(path);
    mode_t mask;
    int fd, result;

    if (len == 0 || len >= sizeof(address.sun_path))
        return att_err_set(err, ATT_EINVAL, "unix socket %s: expected a path of 1 to %zu bytes", path,
                           sizeof(address.sun_path) - 1);
    memcpy(address.sun_path, path, len + 1);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return att_err_set(err, ATT_EIO, "cannot listen on %s: %s", path, strerror(errno));
    if (is_stale(&address))
        (void)unlink(path);
    /* The mode is there from the first moment on. No other thread makes files at the start. */
    mask = umask(0777 & ~mode);
    result = bind(fd, (struct sockaddr *)&address, sizeof(address));
    umask(mask);
    if (result != 0 || listen(fd, BACKLOG) != 0) {
        att_err_set(err, ATT_EIO, "cannot listen on %s: %s", path, strerror(errno));
        close(fd);
        return ATT_EIO;
    }
    listener->fd = fd;
    memcpy(listener->path, path, len + 1);
    return ATT_OK;
}

enum att_status srv_listen_open(const char *address, struct srv_listener *ret_listener, struct att_err *err)
{
    static const char prefix[] = "unix:";

    if (strncmp(address, prefix, sizeof(prefix) - 1) == 0)
        return open_unix(address + sizeof(prefix) - 1, 0660, ret_listener, err);
    return open_tcp(address, &ret_listener->fd, err);
}

enum att_status srv_listen_open_admin(const char *path, struct srv_listener *ret_listener, struct att_err *err)
{
    ret_listener->is_admin = true;
    return open_unix(path, 0600, ret_listener, err);
}

void srv_listen_close(struct srv_listener *listener)
{
    /* Removed first: who connects from now on is refused at once, or meets the next daemon. */
    if (listener->fd >= 0 && listener->path[0] != '\0')
        (void)unlink(listener->path);
    if (listener->fd >= 0)
        close(listener->fd);
    listener->fd = -1;
}

void srv_listen_name(int fd, char ret_name[SRV_ADDRESS_MAX])
{
    struct sockaddr_storage address = {0};
    socklen_t len = sizeof(address);
    char host[INET6_ADDRSTRLEN] = "?";

    if (getsockname(fd, (struct sockaddr *)&address, &len) == 0 && address.ss_family == AF_INET6) {
        inet_ntop(AF_INET6, &((struct sockaddr_in6 *)&address)->sin6_addr, host, sizeof(host));
        snprintf(ret_name, SRV_ADDRESS_MAX, "[%s]:%u", host, ntohs(((struct sockaddr_in6 *)&address)->sin6_port));
    } else if (address.ss_family == AF_INET) {
        inet_ntop(AF_INET, &((struct sockaddr_in *)&address)->sin_addr, host, sizeof(host));
        snprintf(ret_name, SRV_ADDRESS_MAX, "%s:%u", host, ntohs(((struct sockaddr_in *)&address)->sin_port));
    } else if (address.ss_family == AF_UNIX) {
        snprintf(ret_name, SRV_ADDRESS_MAX, "unix:%.107s", ((struct sockaddr_un *)&address)->sun_path);
    } else {
        snprintf(ret_name, SRV_ADDRESS_MAX, "inherited socket");
    }
}

void srv_listen_refuse(int fd)
{
    /* The filter sees the TCP header; its flags are byte 13, SYN is bit 1. */
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 13),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 2, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 0),
        BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
    };
    struct sock_fprog program = {sizeof(code) / sizeof(code[0]), code};

    (void)setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
}
