/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a recorded conversation tells of the terminal it was recorded with: the names it selected,
 * and the values it sent for the card's lists. With them a card can be replayed without the
 * terminal's parameters.
 */
#ifndef DP_CLI_RECORDING_H
#define DP_CLI_RECORDING_H

#include <doorpay/emv.h>

#include "base/limits.h"

#define RECORDING_PANS_MAX 16

struct recording_name {
    uint8_t p[16];
    uint8_t n;
};

/* A value that was sent; n = 0: none was. */
struct recording_value {
    uint8_t p[16];
    uint8_t n;
};

struct recording {
    struct recording_name names[DP_EMV_AIDS_MAX]; /* selected, or offered by a directory */
    size_t names_n;
    struct recording_value un, amount, currency, country, date, time, type; /* 9F37 9F02 ... */
    struct recording_value ttq, terminal_type, capabilities, additional_capabilities, sequence;
    struct recording_value arc, issuer_authentication; /* 8A and 91, sent for CDOL2 */
    struct recording_value tvr;                        /* 95 in CDOL1's values */
    int first_ac; /* P1 of the first GENERATE AC; -1: there is none */
    bool second_ac;
    bool internal_authenticate;
    char pans[RECORDING_PANS_MAX][20]; /* card numbers in the answers, to be masked */
    size_t pans_n;
};

/* Lines as dp_reader_transcript_open reads them; those it would refuse are passed over. */
DP_PARSES void recording_read(const char *text, size_t n, struct recording *out);
/* Puts '*' into hex over the middle of every card number that the recording has. */
void recording_mask(const struct recording *r, char *hex);

#endif
