/* Where the sentences of a text begin and end. Pure. */
#ifndef TASK_SENTENCES_H
#define TASK_SENTENCES_H

#include <stddef.h>

struct task_sentence {
    size_t begin, end; /* bytes, without white space around */
};

/* A sentence ends behind . ! ? ; with their quotes and brackets where white space or the end follows, behind 。！？；
 * wherever they stand, and at line breaks. "3.95", "e.g. this", "No. 5" and "Boeing Co. fell" do not end one; "sold to
 * Acme Co. Shares rose" does. At most `max` are written, the last then holds the rest; how many. The text must be
 * UTF-8. */
size_t task_sentences_split(const char *text, size_t len, struct task_sentence *sentences, size_t max);

#endif
