/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A set in letters, so that a test can change it by changing words: { key value … }, [ value … ],
 * integers, 'text', h'hex', true, false; a word that ends in a colon is a label and says nothing.
 */
#ifndef DP_TESTS_PARAMS_NOTATION_H
#define DP_TESTS_PARAMS_NOTATION_H

#include <stddef.h>
#include <stdint.h>

/* A whole set, every optional part in it. */
extern const char notation_set[];
/* The set with the first `old` replaced by `new`; old must be there. Static memory, for one call.
 */
const char *notation_with(const char *old, const char *new);
/* The bytes of a notation, which is one item. */
size_t notation_pack(const char *text, uint8_t *out, size_t max);

/* The test back office: makes its key at the first call. */
const uint8_t *notation_back_office(void);
/* Packs and signs. */
size_t notation_sign(const char *text, uint8_t *out, size_t max);

#endif
