/* Files that hold secrets: API keys, certificates, private keys; named by the configuration or handed over by systemd
 * as credentials (systemd.exec(5), LoadCredential=). */
#ifndef SRV_SECRET_H
#define SRV_SECRET_H

#include <stddef.h>

#include "core/base/status.h"

struct srv_value;

enum { SRV_SECRET_PATH_MAX = 4096, SRV_SECRET_BYTES_MAX = 1048576 };

/* Where the option's file lies. "auto": the credential of this name where there is one; "none": nowhere. Returns NULL
 * or `path`. */
const char *srv_secret_path(const struct srv_value *option, const char *credential, char path[SRV_SECRET_PATH_MAX]);
/* The whole file with a NUL behind it: a regular one of at most SRV_SECRET_BYTES_MAX bytes that only its owner may
 * write. Free with srv_secret_free. The message names the file, never what is in it. */
enum att_status srv_secret_read(const char *path, char **ret_bytes, size_t *ret_len, struct att_err *err) ATT_MUST_USE;
/* Overwrites it first. NULL is allowed. */
void srv_secret_free(char *bytes, size_t len);

#endif
