/* Each rule runs over the whole text before the next one does. */
#include "core/text/cleanup.h"

#include <string.h>

static size_t replace(char *text, size_t len, const char *from, const char *to)
{
    size_t from_len = strlen(from), to_len = strlen(to), write = 0;
    for (size_t read = 0; read < len;) {
        if (len - read >= from_len && memcmp(text + read, from, from_len) == 0) {
            memcpy(text + write, to, to_len);
            write += to_len;
            read += from_len;
        } else {
            text[write++] = text[read++];
        }
    }
    return write;
}

size_t att_cleanup(char *text, size_t len)
{
    static const struct {
        const char *from, *to;
    } rules[] = {
        {" .", "."},   {" ?", "?"},           {" !", "!"},   {" ,", ","},     {" ' ", "'"},    {" n't", "n't"},
        {" 'm", "'m"}, {" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"},
    };
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        len = replace(text, len, rules[i].from, rules[i].to);
    return len;
}
