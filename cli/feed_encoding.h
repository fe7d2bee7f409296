/*
 * Feeds in encodings that Expat does not read itself (it reads UTF-8, UTF-16 and ISO-8859-1): those of Chinese,
 * Japanese and Korean feeds, and of Windows, by iconv. Only names of a list are opened, all of one or two bytes a
 * character with ASCII as it is, so that neither a state nor a name of the feed's choice comes in.
 */
#ifndef CLI_FEED_ENCODING_H
#define CLI_FEED_ENCODING_H

#include <expat.h>

/* For XML_SetUnknownEncodingHandler. */
int cli_feed_encoding(void *context, const XML_Char *name, XML_Encoding *encoding);

#endif
