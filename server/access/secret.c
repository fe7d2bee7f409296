/* Reading what must not leak. Opened without waiting (a FIFO would block), read once, wiped when freed. */
#include "server/access/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/mem.h"
#include "server/config/config.h"

const char *srv_secret_path(const struct srv_value *option, const char *credential, char path[SRV_SECRET_PATH_MAX])
{
    const char *folder = getenv("CREDENTIALS_DIRECTORY");
    int len;

    if (strcmp(option->text, "none") == 0)
        return NULL;
    if (strcmp(option->text, "auto") != 0) {
        len = snprintf(path, SRV_SECRET_PATH_MAX, "%s", option->text);
        return len > 0 && len < SRV_SECRET_PATH_MAX ? path : NULL;
    }
    if (folder == NULL)
        return NULL;
    len = snprintf(path, SRV_SECRET_PATH_MAX, "%s/%s", folder, credential);
    return len > 0 && len < SRV_SECRET_PATH_MAX && access(path, F_OK) == 0 ? path : NULL;
}

static enum att_status check_facts(const char *path, const struct stat *facts, struct att_err *err)
{
    if (!S_ISREG(facts->st_mode))
        return att_err_set(err, ATT_EIO, "%s: is not a regular file", path);
    if ((facts->st_mode & (S_IWGRP | S_IWOTH)) != 0)
        return att_err_set(err, ATT_EIO, "%s: may be written by others (mode %04o), expected 0600 or 0640", path,
                           facts->st_mode & 07777U);
    if (facts->st_size > SRV_SECRET_BYTES_MAX)
        return att_err_set(err, ATT_EIO, "%s: has %lld bytes, expected at most %d", path, (long long)facts->st_size,
                           SRV_SECRET_BYTES_MAX);
    return ATT_OK;
}

static enum att_status read_all(int fd, const char *path, size_t size, char **ret_bytes, size_t *ret_len,
                                struct att_err *err)
{
    char *bytes = att_mem_calloc(size + 1, 1);
    size_t len = 0;

    if (bytes == NULL)
        return att_err_set(err, ATT_ENOMEM, "no memory for %s", path);
    while (len < size) {
        ssize_t n = read(fd, bytes + len, size - len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            srv_secret_free(bytes, size);
            return att_err_set(err, ATT_EIO, "%s: cannot be read: %s", path, strerror(errno));
        }
        if (n == 0)
            break;
        len += (size_t)n;
    }
    *ret_bytes = bytes;
    *ret_len = len;
    return ATT_OK;
}

enum att_status srv_secret_read(const char *path, char **ret_bytes, size_t *ret_len, struct att_err *err)
{
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    struct stat facts;
    enum att_status status;

    if (fd < 0 || fstat(fd, &facts) != 0) {
        status = att_err_set(err, ATT_EIO, "%s: cannot be read: %s", path, strerror(errno));
    } else {
        status = check_facts(path, &facts, err);
        if (status == ATT_OK)
            status = read_all(fd, path, (size_t)facts.st_size, ret_bytes, ret_len, err);
    }
    if (fd >= 0)
        close(fd);
    return status;
}

void srv_secret_free(char *bytes, size_t len)
{
    if (bytes != NULL)
        explicit_bzero(bytes, len);
    att_mem_free(bytes);
}
