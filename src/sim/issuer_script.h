/* SPDX-License-Identifier: Apache-2.0 */
/* What an issuer sends a card by script: the MAC of a command, enciphered data, and PIN CHANGE.
 * Both ends are here; which form a card takes is in its cryptogram version (cvn.h). */
#ifndef DP_SIM_ISSUER_SCRIPT_H
#define DP_SIM_ISSUER_SCRIPT_H

#include "issuer.h"

#define SIM_SCRIPT_DATA_MAX 255
#define SIM_PIN_MIN         4
#define SIM_PIN_MAX         12

/* MAC of a command: its 5 header bytes (with an Lc that counts the MAC), then its data. */
DP_MUST_USE int sim_script_mac(const uint8_t master_mac[16], enum sim_cvn cvn,
                               const struct sim_session_data *session, const uint8_t header[5],
                               const uint8_t *data, size_t n, uint8_t mac[8]);

/* Command data under a session key; out holds n + 17. */
DP_MUST_USE int sim_encipher(enum sim_enciphering how, enum sim_cipher cipher,
                             const uint8_t key[16], const uint8_t *data, size_t n, uint8_t *out,
                             size_t *out_n);
/* ... and back, where n bytes are expected. DP_ERR_FORMAT. */
DP_MUST_USE int sim_decipher(enum sim_enciphering how, enum sim_cipher cipher,
                             const uint8_t key[16], const uint8_t *in, size_t in_n, uint8_t *data,
                             size_t n);

/* ISO 9564 format 2: 2, length, digits, F. DP_ERR_FORMAT: not 4 to 12 digits. */
DP_MUST_USE int sim_pin_block_iso2(const char *pin, uint8_t block[8]);
/* The card's own form: 0, length, digits, F; mixed with four bytes of the card's AC key, and with
 * the PIN before it, if given (NULL: not). */
DP_MUST_USE int sim_pin_block_of_card(const uint8_t master_ac[16], const char *pin,
                                      const char *before, uint8_t block[8]);

/* PIN CHANGE/UNBLOCK, header to MAC; before NULL: without the PIN before. command holds 64. */
DP_MUST_USE int sim_pin_change(const struct sim_card_keys *keys, enum sim_cvn cvn,
                               const struct sim_session_data *session, const char *pin,
                               const char *before, uint8_t *command, size_t *n);
/* The card's side, its MAC checked already: data without MAC. pin is the card's, and the new one
 * when it is taken; holds 13. DP_ERR_FORMAT: not a PIN for this card. */
DP_MUST_USE int sim_pin_change_take(const struct sim_card_keys *keys, enum sim_cvn cvn,
                                    const struct sim_session_data *session, uint8_t p2,
                                    const uint8_t *data, size_t n, char *pin);

#endif
