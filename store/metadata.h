/* Metadata of a knowledge base's entries and of a recommender's items, which filters ask for. */
#ifndef STORE_METADATA_H
#define STORE_METADATA_H

/* Levels of objects and lists, the metadata counted: what is written is refused beyond it, since it is read to there.
 */
enum { STORE_METADATA_DEPTH_MAX = 16, STORE_METADATA_BYTES_MAX = 16384 };

#endif
