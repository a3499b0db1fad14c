/* SPDX-License-Identifier: Apache-2.0 */
#include "memstore.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

#define SECTOR 512

void memstore_init(struct memstore *m)
{
    memset(m, 0, sizeof *m);
    m->nodes[0].is_dir = m->nodes[0].here = m->nodes[0].was = true;
    m->nodes[0].parent = m->nodes[0].was_parent = -1;
    m->nodes_n = 1;
    m->space = m->disk = UINT64_MAX / 2;
    m->random = 1;
}

void memstore_free(struct memstore *m)
{
    for (int i = 0; i < m->nodes_n; i++) {
        free(m->nodes[i].data);
        free(m->nodes[i].durable);
        free(m->nodes[i].dirty);
    }
    memset(m, 0, sizeof *m);
}

static void *copy_of(const void *p, size_t n)
{
    void *c = malloc(n + 1);
    DP_ASSERT(c != NULL);
    if (n > 0)
        memcpy(c, p, n);
    return c;
}

static size_t sectors(size_t n)
{
    return (n + SECTOR - 1) / SECTOR;
}

void memstore_copy(struct memstore *to, const struct memstore *from)
{
    *to = *from;
    for (int i = 0; i < to->nodes_n; i++) {
        struct node *n = &to->nodes[i];
        n->data = copy_of(n->data, n->n);
        n->durable = copy_of(n->durable, n->durable_n);
        n->dirty = copy_of(n->dirty, sectors(n->n));
        n->locked = false;
    }
    to->dead = false;
    to->fault = FAULT_NONE;
    to->log = NULL;
}

static struct memlog_op *logged(struct memstore *m, enum memlog_kind kind, int node)
{
    static struct memlog_op none;
    struct memlog_op *op = &none;
    if (m->log != NULL) {
        DP_ASSERT(m->log->n < MEMLOG_OPS_MAX);
        op = &m->log->ops[m->log->n++];
    }
    memset(op, 0, sizeof *op);
    op->kind = kind;
    op->node = node;
    if (node >= 0) {
        op->parent = m->nodes[node].parent;
        memcpy(op->name, m->nodes[node].name, sizeof op->name);
    }
    return op;
}

/* A disk writes sectors, each by itself. */
static void log_write(struct memstore *m, int file, uint64_t offset, const uint8_t *p, size_t n)
{
    while (m->log != NULL && n > 0) {
        struct memlog_op *op = logged(m, MEMLOG_WRITE, file);
        size_t part = SECTOR - (size_t)(offset % SECTOR);
        op->n = part < n ? part : n;
        op->offset = offset;
        op->data = copy_of(p, op->n);
        offset += op->n;
        p += op->n;
        n -= op->n;
    }
}

void memlog_clear(struct memlog *log)
{
    for (int i = 0; i < log->n; i++)
        free(log->ops[i].data);
    log->n = 0;
}

static uint64_t draw(struct memstore *m)
{
    m->random ^= m->random << 13;
    m->random ^= m->random >> 7;
    m->random ^= m->random << 17;
    return m->random;
}

static int child(const struct memstore *m, int parent, const char *name, size_t n)
{
    if (n == 1 && name[0] == '.')
        return parent;
    for (int i = 1; i < m->nodes_n; i++)
        if (m->nodes[i].here && m->nodes[i].parent == parent && strlen(m->nodes[i].name) == n &&
            memcmp(m->nodes[i].name, name, n) == 0)
            return i;
    return -1;
}

/* The node of a path, or -1; *parent and *last say where it would be. */
static int find(const struct memstore *m, const char *path, int *parent, const char **last)
{
    int at = 0;
    for (;;) {
        size_t n = strcspn(path, "/");
        *parent = at;
        *last = path;
        at = at < 0 ? -1 : child(m, at, path, n);
        if (path[n] == '\0')
            return at;
        if (at < 0) {
            *parent = -1;
            return -1;
        }
        path += n + 1;
    }
}

static int find_node(const struct memstore *m, const char *path)
{
    int parent;
    const char *last;
    return find(m, path, &parent, &last);
}

uint64_t memstore_used(const struct memstore *m)
{
    uint64_t n = 0;
    for (int i = 1; i < m->nodes_n; i++)
        n += m->nodes[i].here ? m->nodes[i].n : 0;
    return n;
}

static uint64_t disk_left(const struct memstore *m)
{
    uint64_t used = memstore_used(m);
    return used < m->disk ? m->disk - used : 0;
}

/* Counts a call that changes something. *torn: half of it is done, and then the power is gone. */
static int change(struct memstore *m, bool *torn)
{
    *torn = false;
    if (m->dead)
        return DP_ERR_IO;
    m->calls++;
    if (m->log != NULL && m->log->before != NULL)
        m->log->before(m->log->user);
    if (m->fault == FAULT_NONE || m->calls != m->fault_at)
        return DP_OK;
    if (m->fault == FAULT_FULL || m->fault == FAULT_IO)
        return m->fault == FAULT_FULL ? DP_ERR_FULL : DP_ERR_IO;
    if (m->fault == FAULT_LIE)
        return DP_OK;
    m->dead = m->fault != FAULT_SHORT;
    *torn = m->fault != FAULT_CUT;
    return *torn ? DP_OK : DP_ERR_IO;
}

static int new_node(struct memstore *m, int parent, const char *name, bool is_dir, size_t n)
{
    struct node *node = &m->nodes[m->nodes_n];
    DP_ASSERT(m->nodes_n < NODES_MAX);
    memset(node, 0, sizeof *node);
    snprintf(node->name, sizeof node->name, "%s", name);
    node->parent = parent;
    node->here = true;
    node->is_dir = is_dir;
    node->n = n;
    node->data = calloc(1, n + 1);
    node->durable = calloc(1, 1);
    node->dirty = calloc(1, sectors(n) + 1);
    DP_ASSERT(node->data != NULL && node->dirty != NULL);
    memset(node->dirty, true, sectors(n));
    return m->nodes_n++;
}

static int mem_make_dir(void *ctx, const char *name)
{
    struct memstore *m = ctx;
    const char *last;
    int parent;
    bool torn;
    int err = change(m, &torn);
    if (err != DP_OK)
        return err;
    if (find(m, name, &parent, &last) >= 0)
        return DP_OK;
    if (parent < 0)
        return DP_ERR_NOT_FOUND;
    (void)logged(m, MEMLOG_MAKE_DIR, new_node(m, parent, last, true, 0));
    return torn ? DP_ERR_IO : DP_OK;
}

static int mem_create(void *ctx, const char *name, uint64_t size, int *file)
{
    struct memstore *m = ctx;
    const char *last;
    int parent;
    bool torn;
    int err = change(m, &torn);
    *file = -1;
    if (err != DP_OK)
        return err;
    if (find(m, name, &parent, &last) >= 0)
        return DP_ERR_DUPLICATE;
    if (parent < 0)
        return DP_ERR_NOT_FOUND;
    if (size > disk_left(m))
        return DP_ERR_FULL;
    *file = new_node(m, parent, last, false, torn ? (size_t)size / 2 : (size_t)size);
    logged(m, MEMLOG_CREATE, *file)->n = (size_t)size;
    if (torn)
        *file = -1;
    return torn ? DP_ERR_IO : DP_OK;
}

static int mem_open(void *ctx, const char *name, bool write, int *file)
{
    struct memstore *m = ctx;
    (void)write;
    *file = -1;
    if (m->dead)
        return DP_ERR_IO;
    *file = find_node(m, name);
    return *file < 0 ? DP_ERR_NOT_FOUND : DP_OK;
}

static int mem_read_at(void *ctx, int file, uint64_t offset, void *p, size_t n, size_t *got)
{
    struct memstore *m = ctx;
    const struct node *node = &m->nodes[file];
    *got = 0;
    if (m->dead)
        return DP_ERR_IO;
    if (offset < node->n)
        *got = node->n - (size_t)offset < n ? node->n - (size_t)offset : n;
    if (*got > 0)
        memcpy(p, node->data + offset, *got);
    return DP_OK;
}

static void extend(struct node *node, size_t n)
{
    if (n <= node->n)
        return;
    node->data = realloc(node->data, n + 1);
    node->dirty = realloc(node->dirty, sectors(n) + 1);
    DP_ASSERT(node->data != NULL && node->dirty != NULL);
    memset(node->data + node->n, 0, n - node->n);
    memset(node->dirty + sectors(node->n), true, sectors(n) - sectors(node->n));
    node->n = n;
}

static int mem_write_at(void *ctx, int file, uint64_t offset, const void *p, size_t n)
{
    struct memstore *m = ctx;
    struct node *node = &m->nodes[file];
    bool torn;
    int err = change(m, &torn);
    if (err != DP_OK)
        return err;
    if (torn)
        n = (size_t)(draw(m) % n);
    if (offset + n > node->n && offset + n - node->n > disk_left(m))
        return DP_ERR_FULL;
    extend(node, (size_t)offset + n);
    memcpy(node->data + offset, p, n);
    log_write(m, file, offset, p, n);
    for (size_t at = (size_t)offset / SECTOR; at < sectors((size_t)offset + n); at++)
        node->dirty[at] = true;
    return torn ? DP_ERR_IO : DP_OK;
}

static int mem_size(void *ctx, int file, uint64_t *size)
{
    struct memstore *m = ctx;
    *size = m->nodes[file].n;
    return m->dead ? DP_ERR_IO : DP_OK;
}

static bool lies(const struct memstore *m)
{
    return m->fault == FAULT_LIE && m->calls == m->fault_at;
}

/* What was written since the last flush. */
static void flush_sectors(struct node *node)
{
    if (node->n > node->durable_n) {
        node->durable = realloc(node->durable, node->n + 1);
        DP_ASSERT(node->durable != NULL);
        memset(node->durable + node->durable_n, 0, node->n - node->durable_n);
    }
    for (size_t s = 0, at = 0; at < node->n; s++, at += SECTOR)
        if (node->dirty[s])
            memcpy(node->durable + at, node->data + at,
                   node->n - at < SECTOR ? node->n - at : SECTOR);
    node->durable_n = node->n;
    memset(node->dirty, false, sectors(node->n));
}

static int mem_sync(void *ctx, int file)
{
    struct memstore *m = ctx;
    struct node *node = &m->nodes[file];
    bool torn;
    int err = change(m, &torn);
    if (err != DP_OK || torn)
        return DP_ERR_IO;
    if (lies(m))
        return DP_OK;
    m->syncs++;
    (void)logged(m, MEMLOG_SYNC, file);
    flush_sectors(node);
    return DP_OK;
}

static int mem_sync_dir(void *ctx, const char *name)
{
    struct memstore *m = ctx;
    int dir = find_node(m, name);
    bool torn;
    int err = change(m, &torn);
    if (err != DP_OK || torn)
        return DP_ERR_IO;
    if (dir < 0)
        return DP_ERR_NOT_FOUND;
    if (lies(m))
        return DP_OK;
    (void)logged(m, MEMLOG_SYNC_DIR, dir);
    for (int i = 1; i < m->nodes_n; i++) {
        struct node *n = &m->nodes[i];
        if (n->parent != dir && n->was_parent != dir)
            continue;
        n->was = n->here;
        n->was_parent = n->parent;
        memcpy(n->was_name, n->name, sizeof n->name);
    }
    return DP_OK;
}

static void mem_close(void *ctx, int file)
{
    struct memstore *m = ctx;
    if (file >= 0)
        m->nodes[file].locked = false;
}

static int mem_rename(void *ctx, const char *from, const char *to)
{
    struct memstore *m = ctx;
    int node = find_node(m, from), parent;
    const char *last;
    bool torn;
    int err = change(m, &torn);
    if (err != DP_OK)
        return err;
    if (node < 0)
        return DP_ERR_NOT_FOUND;
    if (find(m, to, &parent, &last) >= 0)
        return DP_ERR_DUPLICATE;
    if (parent < 0)
        return DP_ERR_NOT_FOUND;
    m->nodes[node].parent = parent;
    snprintf(m->nodes[node].name, sizeof m->nodes[node].name, "%s", last);
    (void)logged(m, MEMLOG_RENAME, node);
    return torn ? DP_ERR_IO : DP_OK;
}

static int mem_remove(void *ctx, const char *name)
{
    struct memstore *m = ctx;
    int node = find_node(m, name);
    bool torn;
    int err = change(m, &torn);
    if (err != DP_OK)
        return err;
    if (node < 0)
        return DP_ERR_NOT_FOUND;
    if (m->nodes[node].is_dir)
        return DP_ERR_IO;
    m->nodes[node].here = false;
    (void)logged(m, MEMLOG_REMOVE, node);
    return torn ? DP_ERR_IO : DP_OK;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int mem_list(void *ctx, const char *name, void (*each)(void *user, const char *name),
                    void *user)
{
    struct memstore *m = ctx;
    const char *names[NODES_MAX];
    char copies[NODES_MAX][48];
    size_t n = 0;
    int dir = find_node(m, name);
    if (m->dead)
        return DP_ERR_IO;
    if (dir < 0)
        return DP_ERR_NOT_FOUND;
    for (int i = 1; i < m->nodes_n; i++)
        if (m->nodes[i].here && m->nodes[i].parent == dir) {
            memcpy(copies[n], m->nodes[i].name, sizeof copies[n]);
            names[n] = copies[n];
            n++;
        }
    qsort(names, n, sizeof names[0], by_name);
    for (size_t i = 0; i < n; i++)
        each(user, names[i]);
    return DP_OK;
}

static int mem_lock(void *ctx, const char *name, int *file)
{
    struct memstore *m = ctx;
    int parent;
    const char *last;
    int node = find(m, name, &parent, &last);
    *file = -1;
    if (m->dead)
        return DP_ERR_IO;
    if (node < 0 && parent < 0)
        return DP_ERR_NOT_FOUND;
    if (node < 0) {
        node = new_node(m, parent, last, false, 0);
        (void)logged(m, MEMLOG_NODE, node);
    }
    if (m->nodes[node].locked)
        return DP_ERR_BUSY;
    m->nodes[node].locked = true;
    *file = node;
    return DP_OK;
}

static int mem_space(void *ctx, uint64_t *bytes_free)
{
    struct memstore *m = ctx;
    uint64_t left = disk_left(m);
    *bytes_free = left < m->space ? left : m->space;
    return m->dead ? DP_ERR_IO : DP_OK;
}

static const struct dp_store_ops ops = {
    .make_dir = mem_make_dir,
    .create = mem_create,
    .open = mem_open,
    .read_at = mem_read_at,
    .write_at = mem_write_at,
    .size = mem_size,
    .sync = mem_sync,
    .sync_dir = mem_sync_dir,
    .close = mem_close,
    .rename = mem_rename,
    .remove = mem_remove,
    .list = mem_list,
    .lock = mem_lock,
    .space = mem_space,
};

struct dp_store memstore_store(struct memstore *m)
{
    return (struct dp_store){&ops, m};
}

void memstore_fail(struct memstore *m, enum fault fault, unsigned n)
{
    m->fault = fault;
    m->fault_at = m->calls + n;
}

/* Sector by sector the new or the old bytes. */
static void settle_data(struct memstore *m, struct node *n)
{
    size_t shown = (draw(m) & 1) != 0 ? n->n : n->durable_n;
    for (size_t s = 0; s < sectors(n->n); s++) {
        size_t at = s * SECTOR, size = n->n - at < SECTOR ? n->n - at : SECTOR;
        if (!n->dirty[s] || (draw(m) & 1) != 0)
            continue;
        for (size_t i = at; i < at + size; i++)
            n->data[i] = i < n->durable_n ? n->durable[i] : 0;
    }
    if (shown < n->n && shown >= n->durable_n)
        n->n = shown;
}

/* A name that was given anew names one file, the old one or the new one. */
static void settle_names(struct memstore *m)
{
    for (int i = 1; i < m->nodes_n; i++)
        for (int k = i + 1; k < m->nodes_n; k++)
            if (m->nodes[i].here && m->nodes[k].here && m->nodes[i].parent == m->nodes[k].parent &&
                strcmp(m->nodes[i].name, m->nodes[k].name) == 0)
                m->nodes[(draw(m) & 1) != 0 ? i : k].here = false;
}

void memstore_power_on(struct memstore *m, uint64_t seed)
{
    m->random = seed * 2654435761u + 88172645463325252u;
    for (int i = 1; i < m->nodes_n; i++) {
        struct node *n = &m->nodes[i];
        bool moved =
            n->here != n->was || n->parent != n->was_parent || strcmp(n->name, n->was_name) != 0;
        if (moved && (draw(m) & 1) != 0) {
            n->here = n->was;
            n->parent = n->was_parent;
            memcpy(n->name, n->was_name, sizeof n->name);
        }
        if (!n->is_dir)
            settle_data(m, n);
    }
    settle_names(m);
    memstore_settle(m);
}

void memstore_settle(struct memstore *m)
{
    memstore_restart(m);
    for (int i = 1; i < m->nodes_n; i++) {
        struct node *n = &m->nodes[i];
        m->nodes[i].was = m->nodes[i].here;
        m->nodes[i].was_parent = m->nodes[i].parent;
        memcpy(m->nodes[i].was_name, m->nodes[i].name, sizeof m->nodes[i].name);
        if (n->is_dir)
            continue;
        memset(n->dirty, true, sectors(n->n)); /* a test may have written past the store */
        flush_sectors(n);
    }
}

/* A name is one entry of its directory: who takes it last has it. */
static void take_name(struct memstore *m, int node)
{
    for (int i = 1; i < m->nodes_n; i++)
        if (i != node && m->nodes[i].here && m->nodes[i].parent == m->nodes[node].parent &&
            strcmp(m->nodes[i].name, m->nodes[node].name) == 0)
            m->nodes[i].here = false;
    m->nodes[node].here = true;
}

static void write_again(struct node *node, const struct memlog_op *op, enum memlog_lot lot,
                        size_t place)
{
    size_t from = lot == LOT_TAIL ? place : 0, to = lot == LOT_HEAD ? place : op->n;
    DP_ASSERT(from <= to && to <= op->n);
    extend(node, (size_t)op->offset + to);
    memcpy(node->data + op->offset + from, op->data + from, to - from);
}

void memstore_redo(struct memstore *m, const struct memlog_op *op, enum memlog_lot lot,
                   size_t place)
{
    bool made = op->kind == MEMLOG_NODE || op->kind == MEMLOG_MAKE_DIR || op->kind == MEMLOG_CREATE;
    struct node *node = &m->nodes[op->node];
    if (made)
        DP_ASSERT(new_node(m, op->parent, op->name, op->kind == MEMLOG_MAKE_DIR, op->n) ==
                  op->node);
    if (made)
        node->here = false;
    if (lot == LOT_GONE)
        return;
    if (made) {
        take_name(m, op->node);
    } else if (op->kind == MEMLOG_RENAME) {
        node->parent = op->parent;
        memcpy(node->name, op->name, sizeof node->name);
        take_name(m, op->node);
    } else if (op->kind == MEMLOG_REMOVE) {
        node->here = false;
    } else if (op->kind == MEMLOG_WRITE) {
        write_again(node, op, lot, place);
    }
}

void memstore_restart(struct memstore *m)
{
    m->dead = false;
    m->fault = FAULT_NONE;
    for (int i = 0; i < m->nodes_n; i++)
        m->nodes[i].locked = false;
}

struct node *memstore_file(struct memstore *m, const char *path)
{
    int i = find_node(m, path);
    return i < 0 ? NULL : &m->nodes[i];
}

static struct node *in_a_journal(struct memstore *m, uint32_t number, const char *ending)
{
    char name[32];
    snprintf(name, sizeof name, "seg-%08u.dpj%s", number, ending);
    for (int i = 1; i < m->nodes_n; i++)
        if (m->nodes[i].here && strcmp(m->nodes[i].name, name) == 0 &&
            strlen(m->nodes[m->nodes[i].parent].name) == 32)
            return &m->nodes[i];
    return NULL;
}

struct node *memstore_segment(struct memstore *m, uint32_t number)
{
    return in_a_journal(m, number, "");
}

struct node *memstore_archive(struct memstore *m, uint32_t number)
{
    return in_a_journal(m, number, ".zst");
}
