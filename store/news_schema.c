/*
 * The tables of a news file, by versions; store/schema.c makes and checks them.
 * What a scan reads often stands first in a row, texts and signatures last.
 */
#include "store/news_inside.h"
#include "store/schema.h"

static const char *const steps[] = {
    "CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE items(seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, time_ms INTEGER NOT NULL,"
    " received_ms INTEGER NOT NULL, source TEXT NOT NULL, lang TEXT NOT NULL, cluster INTEGER NOT NULL,"
    " similarity REAL NOT NULL, first_seen_ms INTEGER NOT NULL, engagement REAL NOT NULL, parts TEXT NOT NULL,"
    " sentiment TEXT NOT NULL, sentiment_score REAL NOT NULL, polarity REAL NOT NULL, noise REAL, importance REAL,"
    " relevance REAL NOT NULL, model TEXT NOT NULL, model_digest TEXT NOT NULL, topics TEXT NOT NULL,"
    " entities TEXT NOT NULL, evidence_start INTEGER NOT NULL, evidence_end INTEGER NOT NULL, url TEXT NOT NULL,"
    " title TEXT NOT NULL, text TEXT NOT NULL, content TEXT NOT NULL, signature BLOB, vector BLOB);"
    "CREATE INDEX items_time ON items(time_ms, seq);"
    "CREATE INDEX items_received ON items(received_ms);"
    "CREATE INDEX items_cluster ON items(cluster, seq);"
    "CREATE INDEX items_source ON items(source, time_ms);"
    "CREATE TABLE mentions(entity TEXT NOT NULL, seq INTEGER NOT NULL REFERENCES items(seq) ON DELETE CASCADE,"
    " PRIMARY KEY(entity, seq)) WITHOUT ROWID;"
    "CREATE INDEX mentions_seq ON mentions(seq);"
    "CREATE TABLE alerts(seq INTEGER PRIMARY KEY AUTOINCREMENT, time_ms INTEGER NOT NULL, level TEXT NOT NULL,"
    " kind TEXT NOT NULL, json TEXT NOT NULL);"
    "CREATE INDEX alerts_time ON alerts(time_ms);",
};

enum att_status store_news_schema_prepare(sqlite3 *db, const char *path, struct att_err *err)
{
    static const struct store_schema news = {.what = "a news store",
                                             .name = "news ",
                                             .steps = steps,
                                             .n_steps = sizeof steps / sizeof *steps,
                                             .hidden = "sqlite_*"};
    return store_schema_prepare(db, path, &news, err);
}
