/* Log lines as entries of systemd's journal, with fields of their own (systemd.journal-fields(7)). */
#ifndef SRV_JOURNAL_H
#define SRV_JOURNAL_H

#include <stdbool.h>

struct srv_log_field;

/* True when standard error is the journal's, as for a service of systemd. */
bool srv_journal_is_stderr(void);
/* PRIORITY, MESSAGE, ATTENTD_EVENT and ATTENTD_<KEY> for each field. False: it could not be sent. */
bool srv_journal_send(int priority, const char *message, const char *event, const struct srv_log_field *fields);

#endif
