/* SPDX-License-Identifier: Apache-2.0 */
/* The back office's signed parameter set: docs/PROTOCOL.params. No limit and no key stands in code.
 */
#ifndef DOORPAY_PARAMS_H
#define DOORPAY_PARAMS_H

#include <doorpay/base.h>
#include <doorpay/hsm.h>

#ifdef __cplusplus
extern "C" {
#endif

struct dp_params_aid {
    uint8_t aid[16];
    uint8_t aid_n;
    uint8_t kernel; /* 0 contact, 2, 3 */
    bool partial;
    uint8_t version[2], tac_denial[5], tac_online[5], tac_default[5];
    uint64_t floor_limit, random_threshold;
    uint8_t random_target, random_max;
    uint8_t ddol[64], tdol[64], ttq[4];
    uint8_t ddol_n, tdol_n;
    uint64_t cl_transaction_limit, cl_cvm_limit, cl_floor_limit;
    char brand[17];
};

struct dp_params_ca_key {
    uint8_t rid[5], index;
    uint8_t modulus[248];
    uint16_t modulus_n;
    uint32_t exponent, expiry; /* YYYYMMDD */
};

/* An issuer's certificate that its scheme took back. */
struct dp_params_revoked {
    uint8_t rid[5], index, serial[3];
};

struct dp_params_terminal {
    char tid[9], mid[16], mcc[5], merchant_name[41], acquirer_id[12];
    uint16_t country, currency;
    uint8_t exponent, type, capabilities[3], additional_capabilities[5];
    int32_t utc_offset_min;
    uint32_t cut_off_min;
};

struct dp_params_offline {
    uint64_t payment_max, round_amount_max, round_count_max, card_amount_max, card_count_max,
        since_sync_max_s, kernel3_max;
    bool oda_failure_declines;
};

struct dp_params_deferred {
    bool allowed;
    uint64_t payment_max, round_amount_max, round_count_max, expiry_s;
};

enum dp_params_message {
    DP_MESSAGE_SINGLE = 1,
    DP_MESSAGE_DUAL = 2
};
enum dp_params_card_data {
    DP_CARD_DATA_SEALED = 1,
    DP_CARD_DATA_CLEAR = 2
};

struct dp_params_acquirer {
    char profile[17], server_name[129];
    enum dp_params_message message;
    enum dp_params_card_data card_data;
    bool has_sealing_key, has_server_pin;
    uint8_t sealing_key[65], server_pin[32];
    uint32_t mac_len, online_timeout_ms, retry_first_ms, retry_max_ms, repeat_max;
};

/* Who keeps this terminal's journals. */
struct dp_params_collector {
    uint8_t key[65]; /* signs acknowledgements */
    bool archive;    /* segments that it has are compressed */
};

struct dp_params {
    uint64_t version;
    uint8_t digest[32]; /* SHA-256 of the signed set as it was read */
    bool test_profile;
    bool unverified;              /* by dp_params_look: dp_params_accept refuses it */
    int64_t valid_from, valid_to; /* Unix seconds */
    struct dp_params_terminal terminal;
    struct dp_params_offline offline;
    struct dp_params_deferred deferred;
    struct dp_params_acquirer acquirer;
    bool refunds, has_collector;
    struct dp_params_collector collector;
    uint64_t degraded_payments_max; /* while the token's anchor is dead; 0: none */
    char manifest_id[36];           /* empty: none */
    char cohort[17];                /* empty: none */
    struct dp_params_aid *aids;
    size_t aids_n;
    struct dp_params_ca_key *ca_keys;
    size_t ca_keys_n;
    struct dp_params_revoked *revoked;
    size_t revoked_n;
    uint8_t exception_key[32];
    /* bins, exceptions, manifest, agents: by the look-ups below */
    struct dp_params_tables *tables;
};

/*
 * Verifies the signature with the back office's public point, decodes and range-checks every field.
 * error (may be NULL) receives a sentence that names the field and the reason. DP_ERR_SIGNATURE:
 * unsigned or by another key; DP_ERR_FORMAT, DP_ERR_RANGE, DP_ERR_MISSING, DP_ERR_UNSUPPORTED (a
 * profile this build refuses). Free with dp_params_free.
 */
DP_PUBLIC DP_MUST_USE DP_PARSES int dp_params_decode(const uint8_t *p, size_t n,
                                                     const uint8_t back_office[65],
                                                     struct dp_params **out, char *error,
                                                     size_t error_n);
/* The same without a look at the signature, for people who want to see what is in a file: `params
 * show`. What it gives cannot be taken into use. */
DP_PUBLIC DP_MUST_USE DP_PARSES int
dp_params_look(const uint8_t *p, size_t n, struct dp_params **out, char *error, size_t error_n);
/* NULLs the caller's pointer; NULL is fine. */
DP_PUBLIC void dp_params_free(struct dp_params **params);
/* Holds the set's version against the key store's counter and raises it: DP_ERR_ROLLBACK for an
 * older set (A19); DP_ERR_EXPIRED outside valid_from..valid_to; DP_ERR_SIGNATURE for one whose
 * signature was not verified. */
DP_PUBLIC DP_MUST_USE int dp_params_accept(const struct dp_params *params, struct dp_hsm *hsm,
                                           int64_t wall_ms);

/* How much stands in what is only looked up. */
/* How long the set's lists are. */
struct dp_params_counts {
    size_t bins, exceptions, parcels, agents;
};
DP_PUBLIC void dp_params_get_counts(const struct dp_params *params, struct dp_params_counts *out);

/* HMAC-SHA256(exception key, PAN digits) cut to 16: what the exception list and the per-card
 * counters know of a card. */
DP_PUBLIC DP_MUST_USE int dp_params_card_hash(const uint8_t exception_key[32], const char *pan,
                                              uint8_t hash[16]);
DP_PUBLIC bool dp_params_is_exception(const struct dp_params *params, const uint8_t card_hash[16]);
/* May a card whose number begins with these digits (first 6; longer ranges match on what is known)
 * come with this AID? An unlisted BIN may not. */
DP_PUBLIC bool dp_params_bin_permits(const struct dp_params *params, const char *bin,
                                     const uint8_t *aid, size_t aid_n);
/* True when the manifest is empty or lists the parcel. */
DP_PUBLIC bool dp_params_parcel_known(const struct dp_params *params, const char *parcel);
/* True when the set names no agents or names this one (a pseudonym). */
DP_PUBLIC bool dp_params_agent_known(const struct dp_params *params, const char *agent);
/* Business date YYYYMMDD at a time, by time zone and cut-off. */
DP_PUBLIC uint32_t dp_params_business_date(const struct dp_params *params, int64_t wall_ms);

#ifdef __cplusplus
}
#endif
#endif
