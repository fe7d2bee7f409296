/*
 * GET /: the console, a page for people. It shows what is served and how it does, and
 * puts questions to the three tasks by the same API as everybody else. The build
 * merges the files beside this one into it (tools/embed_page.py): no file is read and
 * nothing is fetched from elsewhere at run time. page.js is what the views share, words.js
 * their texts in English and Chinese, then comes a file a view, and start.js, which
 * shows them. The page holds no data, hence it needs no key; what it asks for does.
 */
#ifndef SRV_CONSOLE_H
#define SRV_CONSOLE_H

#include <stddef.h>

#include "server/request/routes.h"

extern const unsigned char srv_console_text[];
extern const size_t srv_console_text_len;
extern const char srv_console_policy[];

srv_builtin srv_builtin_console;

#endif
