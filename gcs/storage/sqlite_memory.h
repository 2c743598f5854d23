/*
 * Private to storage/: SQLite's allocations are ours (base/mem.h).
 */
#ifndef STORAGE_SQLITE_MEMORY_H
#define STORAGE_SQLITE_MEMORY_H

/* Before each first use of SQLite; again, it does nothing. Threads: any. */
void sqlite_memory_use(void);

#endif
