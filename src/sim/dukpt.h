/* SPDX-License-Identifier: Apache-2.0 */
/* AES DUKPT (ANSI X9.24-3), AES-128 keys, the host's side: any key from the initial key and KSN. */
#ifndef DP_SIM_DUKPT_H
#define DP_SIM_DUKPT_H

#include <doorpay/base.h>

#define SIM_DUKPT_KEY 16
#define SIM_DUKPT_KSN 12 /* initial key id (8), transaction counter (4) */
#define SIM_DUKPT_ID  8

enum sim_dukpt_usage {
    SIM_DUKPT_KEK = 0x0002,
    SIM_DUKPT_MAC_GENERATE = 0x2000, /* what the terminal sends */
    SIM_DUKPT_MAC_VERIFY = 0x2001,   /* what the host answers */
    SIM_DUKPT_MAC_BOTH = 0x2002,
    SIM_DUKPT_DATA_ENCRYPT = 0x3000,
    SIM_DUKPT_DERIVE = 0x8000,
    SIM_DUKPT_DERIVE_INITIAL = 0x8001
};

/* The device's initial key from the base derivation key. DP_ERR_CRYPTO when libcrypto fails. */
DP_MUST_USE int sim_dukpt_initial_key(const uint8_t bdk[16], const uint8_t id[8], uint8_t ik[16]);
/* The key from which a transaction's working keys come. DP_ERR_RANGE: counter zero, or with more
 * than 16 bits set, which a terminal skips. */
DP_MUST_USE int sim_dukpt_derivation_key(const uint8_t ik[16], const uint8_t ksn[12],
                                         uint8_t key[16]);
/* The working key of this KSN for one use. Errors as above. */
DP_MUST_USE int sim_dukpt_working_key(const uint8_t ik[16], const uint8_t ksn[12],
                                      enum sim_dukpt_usage usage, uint8_t key[16]);
/* First n (8 or 16) bytes of AES-CMAC(key, SHA-256(message)). */
DP_MUST_USE int sim_cmac_of_digest(const uint8_t key[16], const uint8_t *message, size_t message_n,
                                   uint8_t mac[16]);

#endif
