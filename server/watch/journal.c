/* One call of sd_journal_sendv(3) a line: journalctl ATTENTD_STATUS=500 then needs no parsing. */
#define SD_JOURNAL_SUPPRESS_LOCATION
#include "server/watch/journal.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include "server/watch/log.h"

enum { FIELDS_MAX = 24, FIELD_BYTES_MAX = 512 };

bool srv_journal_is_stderr(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    unsigned long long device, inode;
    struct stat facts;

    return stream != NULL && sscanf(stream, "%llu:%llu", &device, &inode) == 2 && fstat(STDERR_FILENO, &facts) == 0 &&
           facts.st_dev == device && facts.st_ino == inode;
}

struct entry {
    char bytes[FIELDS_MAX][FIELD_BYTES_MAX];
    struct iovec parts[FIELDS_MAX + 1];
    int n;
};

static void add(struct entry *entry, const char *prefix, const char *name, const char *text)
{
    char *to = entry->bytes[entry->n];
    size_t name_len = strlen(prefix) + strlen(name);
    int len;

    if (entry->n == FIELDS_MAX)
        return;
    len = snprintf(to, FIELD_BYTES_MAX, "%s%s=%s", prefix, name, text);
    for (size_t i = strlen(prefix); i < name_len && i < FIELD_BYTES_MAX; i++)
        to[i] = (char)toupper((unsigned char)to[i]);
    entry->parts[entry->n].iov_base = to;
    entry->parts[entry->n++].iov_len = len < 0 ? 0 : len < FIELD_BYTES_MAX ? (size_t)len : FIELD_BYTES_MAX - 1;
}

bool srv_journal_send(int priority, const char *message, const char *event, const struct srv_log_field *fields)
{
    struct entry entry;
    char number[32];

    entry.n = 0;
    snprintf(number, sizeof(number), "%d", priority);
    add(&entry, "", "PRIORITY", number);
    add(&entry, "", "SYSLOG_IDENTIFIER", "attentd");
    add(&entry, "", "MESSAGE", message);
    add(&entry, "ATTENTD_", "EVENT", event);
    for (; fields->key != NULL; fields++) {
        snprintf(number, sizeof(number), "%.15g", fields->number);
        add(&entry, "ATTENTD_", fields->key, fields->text != NULL ? fields->text : number);
    }
    return sd_journal_sendv(entry.parts, entry.n) == 0;
}
