/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store in memory with the manners of a disk: what was not flushed may be gone, torn or out of
 * order after a power cut, names too. Calls can be made to fail.
 */
#ifndef DP_TESTS_JOURNAL_MEMSTORE_H
#define DP_TESTS_JOURNAL_MEMSTORE_H

#include <doorpay/journal.h>

#define NODES_MAX 160

struct node {
    bool is_dir, here, was; /* here: has a name now; was: had one when its directory was flushed */
    int parent, was_parent;
    char name[48], was_name[48];
    uint8_t *data, *durable;
    size_t n, durable_n;
    bool *dirty; /* by sector */
    bool locked;
};

enum fault {
    FAULT_NONE,
    FAULT_IO,    /* the call fails, the store lives */
    FAULT_FULL,  /* likewise, DP_ERR_FULL */
    FAULT_SHORT, /* the call fails half done, the store lives */
    FAULT_CUT,   /* the power goes before the call */
    FAULT_TORN,  /* the power goes in the middle of the call: a write is half done */
    FAULT_LIE    /* the call is done, but a flush flushes nothing */
};

/* What was done to the store, in order, for a replay of it in part. */
enum memlog_kind {
    MEMLOG_NODE, /* a lock's file: no part of any promise */
    MEMLOG_MAKE_DIR,
    MEMLOG_CREATE,
    MEMLOG_WRITE, /* of one sector at most */
    MEMLOG_SYNC,
    MEMLOG_SYNC_DIR,
    MEMLOG_RENAME,
    MEMLOG_REMOVE
};

struct memlog_op {
    enum memlog_kind kind;
    int node, parent; /* parent: of the new name */
    char name[48];
    uint64_t offset;
    size_t n; /* WRITE: bytes; CREATE: the size */
    uint8_t *data;
};

#define MEMLOG_OPS_MAX 4096

struct memlog {
    struct memlog_op ops[MEMLOG_OPS_MAX];
    int n;
    void (*before)(void *user); /* a call that changes something is about to be made */
    void *user;
};

struct memstore {
    struct node nodes[NODES_MAX];
    int nodes_n;
    bool dead; /* after a cut until memstore_power_on */
    unsigned calls, fault_at;
    enum fault fault;
    uint64_t space, random;
    uint64_t disk; /* bytes that all files together may have; space is what is left of it */
    unsigned syncs;
    struct memlog *log; /* NULL: none is kept */
};

void memstore_init(struct memstore *m);
void memstore_free(struct memstore *m);
struct dp_store memstore_store(struct memstore *m);
/* From the n-th call that changes something on (1 is the next), once. */
void memstore_fail(struct memstore *m, enum fault fault, unsigned n);
/* What a disk would show after the power came back; seed decides what of the unflushed is there. */
void memstore_power_on(struct memstore *m, uint64_t seed);
/* Every process is gone, the machine lives on: everything written is there. */
void memstore_restart(struct memstore *m);
void memstore_copy(struct memstore *to, const struct memstore *from);
/* What came to the disk of one step. */
enum memlog_lot {
    LOT_GONE,
    LOT_THERE,
    LOT_HEAD, /* of a write, the bytes before a place */
    LOT_TAIL  /* ... and those behind it */
};
/* Does one step of a log again, to a copy of the store it began with; every step must be done, in
 * order, so that nodes keep their numbers. place: in a torn write, less than its bytes. */
void memstore_redo(struct memstore *m, const struct memlog_op *op, enum memlog_lot lot,
                   size_t place);
/* Bytes of all files that have a name. */
uint64_t memstore_used(const struct memstore *m);
/* What is there now is what the disk holds. */
void memstore_settle(struct memstore *m);
void memlog_clear(struct memlog *log);
/* A file's node by its path; NULL. */
struct node *memstore_file(struct memstore *m, const char *path);
/* The first journal's segment. */
struct node *memstore_segment(struct memstore *m, uint32_t number);
struct node *memstore_archive(struct memstore *m, uint32_t number);

#endif
