/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <psa/crypto.h>

#include "base/hex.h"
#include "journal/crc32c.h"
#include "journal/tree.h"

static void crc_is_castagnoli(void **state)
{
    uint8_t zeros[32] = {0};
    (void)state;
    assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
    assert_int_equal(crc32c(0, zeros, sizeof zeros), 0x8a9136aa); /* RFC 3720, B.4 */
    assert_int_equal(crc32c(crc32c(0, "1234", 4), "56789", 5), 0xe3069283);
}

static void roots_are_those_of_the_published_vectors(void **state)
{
    /* the leaves and roots of the certificate-transparency reference tests */
    static const char *const leaves[] = {"",
                                         "00",
                                         "10",
                                         "2021",
                                         "3031",
                                         "40414243",
                                         "5051525354555657",
                                         "606162636465666768696a6b6c6d6e6f"};
    static const char *const roots[] = {
        "6E340B9CFFB37A989CA544E6BB780A2C78901D3FB33738768511A30617AFA01D",
        "FAC54203E7CC696CF0DFCB42C92A1D9DBAF70AD9E621F4BD8D98662F00E3C125",
        "AEB6BCFE274B70A14FB067A5E5578264DB0FA9B51AF5E0BA159158F329E06E77",
        "D37EE418976DD95753C1C73862B9398FA2A2CF9B4FF0FDFE8B30CD95209614B7",
        "4E3BBB1F7B478DCFE71FB631631519A3BCA12C9AEFCA1612BFCE4C13A86264D4",
        "76E67DADBCDF1E10E1B74DDC608ABD2F98DFB16FBCE75277B5232A127F2087EF",
        "DDB89BE403809E325750D3D263CD78929C2942B7942A34B77E122C9594A74C8C",
        "5DC9DA79A70659A9AD559CB701DED9A2AB9D823AAD2F4960CFE370EFF4604328"};
    uint8_t bytes[16], hash[HASH_BYTES];
    char text[65];
    struct tree t;
    (void)state;
    tree_init(&t);
    assert_int_equal(tree_root(&t, hash), DP_OK);
    assert_string_equal(dp_hex_encode(hash, 32, text, sizeof text),
                        "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855");
    for (size_t i = 0; i < 8; i++) {
        size_t n;
        assert_int_equal(dp_hex_decode(leaves[i], strlen(leaves[i]), bytes, 16, &n), DP_OK);
        assert_int_equal(tree_leaf_hash((struct dp_bytes){bytes, n}, hash), DP_OK);
        assert_int_equal(tree_append(&t, hash), DP_OK);
        assert_int_equal(tree_root(&t, hash), DP_OK);
        assert_string_equal(dp_hex_encode(hash, 32, text, sizeof text), roots[i]);
    }
}

static void leaf_of(uint64_t i, uint8_t out[HASH_BYTES])
{
    uint8_t b[8];
    for (unsigned k = 0; k < 8; k++)
        b[k] = (uint8_t)(i >> (8 * k));
    assert_int_equal(tree_leaf_hash((struct dp_bytes){b, sizeof b}, out), DP_OK);
}

static void every_leaf_of_every_small_tree_is_proved_and_no_other(void **state)
{
    static struct tree_prover p;
    (void)state;
    for (uint64_t size = 1; size <= 40; size++) {
        uint8_t root[HASH_BYTES], leaf[HASH_BYTES];
        struct tree t;
        tree_init(&t);
        for (uint64_t i = 0; i < size; i++) {
            leaf_of(i, leaf);
            assert_int_equal(tree_append(&t, leaf), DP_OK);
        }
        assert_int_equal(tree_root(&t, root), DP_OK);
        for (uint64_t index = 0; index < size; index++) {
            assert_int_equal(tree_prover_init(&p, index, size), DP_OK);
            for (uint64_t i = 0; i < size; i++) {
                assert_false(tree_prover_done(&p));
                leaf_of(i, leaf);
                assert_int_equal(tree_prover_leaf(&p, leaf), DP_OK);
            }
            assert_true(tree_prover_done(&p));
            assert_int_equal(tree_prover_leaf(&p, leaf), DP_ERR_STATE);
            leaf_of(index, leaf);
            assert_int_equal(tree_proof_check(&p.proof, leaf, root), DP_OK);
            leaf_of(index + 1, leaf);
            assert_int_equal(tree_proof_check(&p.proof, leaf, root), DP_ERR_MISMATCH);
            leaf_of(index, leaf);
            p.proof.path_n++;
            assert_int_equal(tree_proof_check(&p.proof, leaf, root), DP_ERR_MISMATCH);
            p.proof.path_n--;
            if (p.proof.path_n > 0) {
                p.proof.path[p.proof.path_n - 1][3] ^= 1;
                assert_int_equal(tree_proof_check(&p.proof, leaf, root), DP_ERR_MISMATCH);
                p.proof.path[p.proof.path_n - 1][3] ^= 1;
                p.proof.path_n--;
                assert_int_equal(tree_proof_check(&p.proof, leaf, root), DP_ERR_MISMATCH);
            }
        }
    }
    assert_int_equal(tree_prover_init(&p, 5, 5), DP_ERR_RANGE);
    assert_false(tree_prover_done(&p));
}

static int start(void **state)
{
    (void)state;
    return psa_crypto_init() == PSA_SUCCESS ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crc_is_castagnoli),
        cmocka_unit_test(roots_are_those_of_the_published_vectors),
        cmocka_unit_test(every_leaf_of_every_small_tree_is_proved_and_no_other),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
