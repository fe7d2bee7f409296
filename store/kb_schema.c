/* The tables of a knowledge base file, by versions; store/schema.c makes, checks and upgrades them. */
#include "store/kb_schema.h"

#include <stdio.h>

#include "store/schema.h"

static const char *const steps[] = {
    "CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE entries(id INTEGER PRIMARY KEY, lang TEXT NOT NULL, question TEXT NOT NULL,"
    " answer TEXT NOT NULL, source TEXT NOT NULL, metadata TEXT NOT NULL, prompts TEXT NOT NULL,"
    " context_only INTEGER NOT NULL);"
    "CREATE TABLE texts(id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " entry INTEGER NOT NULL REFERENCES entries(id) ON DELETE CASCADE, text TEXT NOT NULL, vector BLOB NOT NULL);"
    "CREATE INDEX texts_entry ON texts(entry);"
    "CREATE VIRTUAL TABLE texts_fts USING fts5(text, content='texts', content_rowid='id', tokenize='trigram');"
    "CREATE TRIGGER texts_insert AFTER INSERT ON texts BEGIN"
    " INSERT INTO texts_fts(rowid, text) VALUES (new.id, new.text); END;"
    "CREATE TRIGGER texts_delete AFTER DELETE ON texts BEGIN"
    " INSERT INTO texts_fts(texts_fts, rowid, text) VALUES ('delete', old.id, old.text); END;",
    /* 2: times and small talk of entries; what customers asked and thought of the answers */
    "ALTER TABLE entries ADD COLUMN chitchat INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE entries ADD COLUMN valid_from INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE entries ADD COLUMN valid_until INTEGER NOT NULL DEFAULT 0;"
    "CREATE TABLE questions(id INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL, kind INTEGER NOT NULL,"
    " entry INTEGER NOT NULL, reply TEXT NOT NULL, text TEXT NOT NULL);"
    "CREATE INDEX questions_time ON questions(time);",
};

enum att_status store_kb_schema_prepare(sqlite3 *db, const char *path, const char *encoder_digest, size_t dimensions,
                                        struct att_err *err)
{
    char size[24];
    snprintf(size, sizeof size, "%zu", dimensions);
    const struct store_schema_fact facts[] = {
        {"encoder", encoder_digest, "it was embedded by another encoder; import its entries into a new file"},
        {"dimensions", size, "it was embedded by another encoder"},
    };
    const struct store_schema kb = {.what = "a knowledge base",
                                    .name = "",
                                    .steps = steps,
                                    .n_steps = sizeof steps / sizeof *steps,
                                    .facts = facts,
                                    .n_facts = sizeof facts / sizeof *facts,
                                    .hidden = "texts_fts_*"};
    return store_schema_prepare(db, path, &kb, err);
}
