/*
 * A disk for SQLite that fails on command and knows what a power cut would
 * leave. It stands before the real file system as the default VFS: every
 * operation is counted, the k-th can be made to fail, and of every file it keeps
 * the bytes as of its last successful sync, and the writes since.
 */
#ifndef FAULTY_VFS_H
#define FAULTY_VFS_H

#include <stdbool.h>
#include <stddef.h>

/* To be called once, before any database is opened. */
void faulty_vfs_install(void);
/* The k-th operation from now on that touches the disk fails with an error of its kind, or, `full`, with SQLITE_FULL
 * when it writes; `lasting`: all later ones too. k = 0: none fails. */
void faulty_vfs_fail_at(unsigned k, bool full, bool lasting);
/* Whether the failure asked for has happened. */
bool faulty_vfs_failed(void);
/* What a power cut would leave of the file `path` (also of its log when it has one), written to `copy`. Of the writes
 * since the last sync each survives with probability share / 256. */
void faulty_vfs_cut(const char *path, const char *copy, unsigned share);

#endif
