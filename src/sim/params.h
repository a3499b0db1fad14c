/* SPDX-License-Identifier: Apache-2.0 */
/* A parameter set between its text form and its packed one (docs/PROTOCOL.params). */
#ifndef DP_SIM_PARAMS_H
#define DP_SIM_PARAMS_H

#include "pack.h"
#include "text.h"

#define SIM_PARAMS_FIELDS_MAX 20
#define SIM_PARAMS_AIDS_MAX   64
#define SIM_PARAMS_BINS_MAX   256
#define SIM_PARAMS_LIST_MAX   4096

enum sim_kind {
    SIM_KIND_END = 0,
    SIM_KIND_UINT,
    SIM_KIND_INT,
    SIM_KIND_HEX_UINT, /* 22 is 0x22 */
    SIM_KIND_TEXT,     /* at most size bytes */
    SIM_KIND_HEX,      /* exactly size bytes */
    SIM_KIND_HEX_MOST, /* at most size bytes, may be empty */
    SIM_KIND_YES_NO,
    SIM_KIND_DATE,
    SIM_KIND_WORDS, /* the word's place plus size */
    SIM_KIND_POINT, /* a file of the keys directory with a public point; none: absent */
    SIM_KIND_PIN    /* a certificate there; none: absent */
};

/* One value of a section: its key in the packed map and how its text is read. */
struct sim_field {
    unsigned key;
    const char *name;
    enum sim_kind kind;
    size_t size;
    const char *preset; /* NULL: must be given */
    const char *words[4];
};

struct sim_section {
    const struct sim_field *fields; /* NULL: the section is not there */
    char *values[SIM_PARAMS_FIELDS_MAX];
};
struct sim_bin {
    char low[9], high[9];
    char *aids;
};
struct sim_list {
    char *items[SIM_PARAMS_LIST_MAX];
    size_t n;
};

struct sim_set {
    const char *keys; /* directory */
    struct sim_section set, terminal, ca_keys, offline, deferred, acquirer, manifest, refunds,
        degraded, collector;
    struct sim_section aids[SIM_PARAMS_AIDS_MAX];
    size_t aids_n;
    struct sim_bin bins[SIM_PARAMS_BINS_MAX];
    size_t bins_n;
    struct sim_list pans, parcels, agents, revoked;
    bool has_agents, has_revoked;
    char exception_key[65], cohort[17];
    struct sim_section *now;   /* the section being read */
    struct sim_list *now_list; /* and its list */
    const char *now_item;      /* the list's key */
    bool in_bin, in_exceptions, in_set;
};

/* Reads the text form. What fails is logged with file and line. */
DP_MUST_USE int sim_params_read(const char *path, const char *keys, struct sim_set *out);
/* Another version than the text's. */
void sim_params_set_version(struct sim_set *set, const char *version);
/* The packed set, not yet signed. What fails is logged with section and name. */
DP_MUST_USE int sim_params_pack(struct sim_buf *out, const struct sim_set *set);

#endif
