/*
 * Writing text for people into a growing buffer: HTML, Markdown and sentences
 * from templates. What came with the news is foreign: it goes through
 * news_html_text or news_markdown_text, and links through news_url_is_safe.
 */
#ifndef NEWS_PAGE_H
#define NEWS_PAGE_H

#include <stdarg.h>
#include <stdbool.h>

#include "core/base/jsonw.h"

void news_put(struct att_jsonw *w, const char *text);
void news_putf(struct att_jsonw *w, const char *format, ...) ATT_PRINTF(2, 3);
/* Invalid UTF-8 and control characters become blanks or U+FFFD; <>&"' become entities. */
void news_html_text(struct att_jsonw *w, const char *text, size_t len);
/* One line; a backslash before whatever Markdown may take for its own. */
void news_markdown_text(struct att_jsonw *w, const char *text, size_t len);
/* As the second goes: news_html_text, news_markdown_text, or neither. */
typedef void news_escape(struct att_jsonw *w, const char *text, size_t len);
/* The template, which is ours and goes as it is, with {0} … {9} replaced by the arguments, escaped; {0:item:items} adds
 * a word for one or for many. */
void news_fill(struct att_jsonw *w, const char *template, news_escape *escape, const char *const *arguments, size_t n);
/* An absolute http or https address of printable ASCII without quotes, angle brackets or backslashes. */
bool news_url_is_safe(const char *url);

#endif
