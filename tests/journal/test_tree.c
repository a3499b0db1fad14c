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

/* The leaves of the reference tests of Certificate Transparency (today
 * transparency-dev/merkle, testonly/reference_test.go), whose roots and paths follow. */
static const char *const published[] = {"",
                                        "00",
                                        "10",
                                        "2021",
                                        "3031",
                                        "40414243",
                                        "5051525354555657",
                                        "606162636465666768696a6b6c6d6e6f"};

static void roots_are_those_of_the_published_vectors(void **state)
{
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
        assert_int_equal(dp_hex_decode(published[i], strlen(published[i]), bytes, 16, &n), DP_OK);
        assert_int_equal(tree_leaf_hash((struct dp_bytes){bytes, n}, hash), DP_OK);
        assert_int_equal(tree_append(&t, hash), DP_OK);
        assert_int_equal(tree_root(&t, hash), DP_OK);
        assert_string_equal(dp_hex_encode(hash, 32, text, sizeof text), roots[i]);
    }
}

/* ---- a second implementation: RFC 6962, 2.1, word for word, with all leaves at hand ---- */

#define LEAVES_MAX 131

static uint8_t leaves[LEAVES_MAX][HASH_BYTES];

static void naive_node(const uint8_t *left, const uint8_t *right, uint8_t *out)
{
    uint8_t in[1 + 2 * HASH_BYTES] = {1};
    size_t n;
    memcpy(in + 1, left, HASH_BYTES);
    memcpy(in + 1 + HASH_BYTES, right, HASH_BYTES);
    assert_int_equal(psa_hash_compute(PSA_ALG_SHA_256, in, sizeof in, out, HASH_BYTES, &n), 0);
}

/* MTH(D[from:end]), by pairing neighbours level by level; the odd one goes up as it is. */
static void naive_root(uint64_t from, uint64_t end, uint8_t out[HASH_BYTES])
{
    static uint8_t level[LEAVES_MAX][HASH_BYTES];
    uint64_t n = end - from;
    memcpy(level, leaves[from], (size_t)n * HASH_BYTES);
    for (; n > 1; n = (n + 1) / 2)
        for (uint64_t i = 0; i < n; i += 2) {
            if (i + 1 < n)
                naive_node(level[i], level[i + 1], level[i / 2]);
            else
                memmove(level[i / 2], level[i], HASH_BYTES);
        }
    memcpy(out, level[0], HASH_BYTES);
}

static uint64_t naive_split(uint64_t n)
{
    uint64_t k = 1;
    while (2 * k < n)
        k *= 2;
    return k;
}

/* Written from above downwards, then turned round. */
static void naive_turn(struct tree_path *p)
{
    for (unsigned i = 0; i < p->n / 2; i++) {
        uint8_t kept[HASH_BYTES];
        memcpy(kept, p->hash[i], HASH_BYTES);
        memcpy(p->hash[i], p->hash[p->n - 1 - i], HASH_BYTES);
        memcpy(p->hash[p->n - 1 - i], kept, HASH_BYTES);
    }
}

/* PATH(m, D[n]) */
static void naive_inclusion(uint64_t m, uint64_t n, struct tree_path *out)
{
    uint64_t from = 0;
    out->n = 0;
    while (n > 1) {
        uint64_t k = naive_split(n);
        if (m < k) {
            naive_root(from + k, from + n, out->hash[out->n++]);
            n = k;
        } else {
            naive_root(from, from + k, out->hash[out->n++]);
            from += k;
            m -= k;
            n -= k;
        }
    }
    naive_turn(out);
}

/* SUBPROOF(m, D[n], true) */
static void naive_consistency(uint64_t m, uint64_t n, struct tree_path *out)
{
    uint64_t from = 0;
    bool b = true;
    out->n = 0;
    while (m < n) {
        uint64_t k = naive_split(n);
        if (m <= k) {
            naive_root(from + k, from + n, out->hash[out->n++]);
            n = k;
        } else {
            naive_root(from, from + k, out->hash[out->n++]);
            from += k;
            m -= k;
            n -= k;
            b = false;
        }
    }
    if (!b)
        naive_root(from, from + n, out->hash[out->n++]);
    naive_turn(out);
}

/* ---- hashes kept in the order in which they are made ---- */

struct kept {
    uint8_t hash[2 * LEAVES_MAX][HASH_BYTES];
    uint64_t n, reads;
};

static struct kept kept;

static int keep(void *ctx, const uint8_t hash[HASH_BYTES])
{
    struct kept *k = ctx;
    memcpy(k->hash[k->n++], hash, HASH_BYTES);
    return DP_OK;
}

static int kept_read(void *ctx, unsigned level, uint64_t index, uint8_t out[HASH_BYTES])
{
    struct kept *k = ctx;
    uint64_t at = tree_position(level, index);
    assert_true(at < k->n);
    memcpy(out, k->hash[at], HASH_BYTES);
    k->reads++;
    return DP_OK;
}

static const struct tree_nodes nodes = {kept_read, &kept};

static void leaf_of(uint64_t i, uint8_t out[HASH_BYTES])
{
    uint8_t b[8];
    for (unsigned k = 0; k < 8; k++)
        b[k] = (uint8_t)(i >> (8 * k));
    assert_int_equal(tree_leaf_hash((struct dp_bytes){b, sizeof b}, out), DP_OK);
}

static void keep_all(void)
{
    struct tree t;
    tree_init(&t);
    kept.n = 0;
    for (uint64_t i = 0; i < LEAVES_MAX; i++)
        assert_int_equal(tree_append_each(&t, leaves[i], keep, &kept), DP_OK);
}

static void assert_path(const struct tree_path *a, const struct tree_path *b)
{
    assert_int_equal(a->n, b->n);
    assert_memory_equal(a->hash, b->hash, a->n * sizeof a->hash[0]);
}

static void hex_is(const uint8_t hash[HASH_BYTES], const char *text)
{
    uint8_t wanted[HASH_BYTES];
    size_t n;
    assert_int_equal(dp_hex_decode(text, strlen(text), wanted, sizeof wanted, &n), DP_OK);
    assert_int_equal(n, sizeof wanted);
    assert_memory_equal(hash, wanted, n);
}

static void paths_are_those_of_the_published_vectors(void **state)
{
    uint8_t bytes[16];
    struct tree_path p;
    size_t n;
    (void)state;
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(dp_hex_decode(published[i], strlen(published[i]), bytes, 16, &n), DP_OK);
        assert_int_equal(tree_leaf_hash((struct dp_bytes){bytes, n}, leaves[i]), DP_OK);
    }
    keep_all();
    assert_int_equal(tree_inclusion(&nodes, 0, 1, &p), DP_OK);
    assert_int_equal(p.n, 0);
    assert_int_equal(tree_inclusion(&nodes, 0, 8, &p), DP_OK);
    assert_int_equal(p.n, 3);
    hex_is(p.hash[0], "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7");
    hex_is(p.hash[1], "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e");
    hex_is(p.hash[2], "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4");
    assert_int_equal(tree_inclusion(&nodes, 5, 8, &p), DP_OK);
    assert_int_equal(p.n, 3);
    hex_is(p.hash[0], "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b");
    hex_is(p.hash[1], "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0");
    hex_is(p.hash[2], "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7");
    assert_int_equal(tree_inclusion(&nodes, 2, 3, &p), DP_OK);
    assert_int_equal(p.n, 1);
    hex_is(p.hash[0], "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125");
    assert_int_equal(tree_inclusion(&nodes, 1, 5, &p), DP_OK);
    assert_int_equal(p.n, 3);
    hex_is(p.hash[0], "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
    hex_is(p.hash[1], "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e");
    hex_is(p.hash[2], "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b");
    assert_int_equal(tree_consistency(&nodes, 1, 8, &p), DP_OK);
    assert_int_equal(p.n, 3);
    hex_is(p.hash[0], "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7");
    hex_is(p.hash[1], "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e");
    hex_is(p.hash[2], "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4");
    assert_int_equal(tree_consistency(&nodes, 6, 8, &p), DP_OK);
    assert_int_equal(p.n, 3);
    hex_is(p.hash[0], "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a");
    hex_is(p.hash[1], "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0");
    hex_is(p.hash[2], "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7");
    assert_int_equal(tree_consistency(&nodes, 2, 5, &p), DP_OK);
    assert_int_equal(p.n, 2);
    hex_is(p.hash[0], "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e");
    hex_is(p.hash[1], "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b");
}

/* A path that was damaged in each way proves nothing. */
static void damaged_proves_nothing(const struct tree_path *p, bool inclusion, uint64_t at,
                                   uint64_t size, const uint8_t *hash, const uint8_t *root)
{
    int (*check)(const struct tree_path *, uint64_t, uint64_t, const uint8_t *, const uint8_t *) =
        inclusion ? tree_inclusion_check : tree_consistency_check;
    struct tree_path bad = *p;
    uint8_t other[HASH_BYTES];
    assert_int_equal(check(p, at, size, hash, root), DP_OK);
    memcpy(other, hash, sizeof other);
    other[at % 32] ^= 0x10;
    assert_int_equal(check(p, at, size, other, root), DP_ERR_MISMATCH);
    memcpy(other, root, sizeof other);
    other[size % 32] ^= 0x02;
    assert_int_equal(check(p, at, size, hash, other), DP_ERR_MISMATCH);
    memset(bad.hash[bad.n], 7, HASH_BYTES);
    bad.n++;
    assert_int_equal(check(&bad, at, size, hash, root), DP_ERR_MISMATCH);
    bad.n = p->n;
    for (unsigned i = 0; i < bad.n; i++) {
        bad.hash[i][at % 32] ^= 1;
        assert_int_equal(check(&bad, at, size, hash, root), DP_ERR_MISMATCH);
        bad.hash[i][at % 32] ^= 1;
    }
    if (p->n > 0) {
        bad.n--;
        assert_int_equal(check(&bad, at, size, hash, root), DP_ERR_MISMATCH);
    }
}

static void paths_of_every_small_tree_are_those_of_a_naive_tree(void **state)
{
    struct tree_path ours, theirs;
    (void)state;
    for (uint64_t i = 0; i < LEAVES_MAX; i++)
        leaf_of(i, leaves[i]);
    keep_all();
    for (uint64_t size = 0; size < LEAVES_MAX; size++) {
        uint8_t root[HASH_BYTES], older[HASH_BYTES], whole[HASH_BYTES];
        if (size > 0) {
            naive_root(0, size, root);
            assert_int_equal(tree_range_root(&nodes, 0, size, whole), DP_OK);
            assert_memory_equal(root, whole, sizeof root);
        }
        for (uint64_t at = 0; at < size; at++) {
            naive_inclusion(at, size, &theirs);
            kept.reads = 0;
            assert_int_equal(tree_inclusion(&nodes, at, size, &ours), DP_OK);
            assert_true(kept.reads <= 16);
            assert_path(&ours, &theirs);
            damaged_proves_nothing(&ours, true, at, size, leaves[at], root);
            if (at == 0)
                continue;
            naive_consistency(at, size, &theirs);
            assert_int_equal(tree_consistency(&nodes, at, size, &ours), DP_OK);
            assert_path(&ours, &theirs);
            naive_root(0, at, older);
            damaged_proves_nothing(&ours, false, at, size, older, root);
        }
        assert_int_equal(tree_inclusion(&nodes, size, size, &ours), DP_ERR_RANGE);
        assert_int_equal(tree_consistency(&nodes, size, size, &ours), DP_ERR_RANGE);
        assert_int_equal(tree_consistency(&nodes, 0, size, &ours), DP_ERR_RANGE);
        assert_int_equal(tree_consistency(&nodes, size + 1, size, &ours), DP_ERR_RANGE);
    }
}

/* Another place than the path's is refused, and so are sizes that are none. */
static void a_path_is_of_one_place(void **state)
{
    struct tree_path p;
    uint8_t root[HASH_BYTES], older[HASH_BYTES];
    (void)state;
    naive_root(0, 100, root);
    assert_int_equal(tree_inclusion(&nodes, 40, 100, &p), DP_OK);
    for (uint64_t at = 0; at < 128; at++)
        assert_int_equal(tree_inclusion_check(&p, at, 100, leaves[40], root),
                         at == 40 ? DP_OK : DP_ERR_MISMATCH);
    naive_root(0, 40, older);
    assert_int_equal(tree_consistency(&nodes, 40, 100, &p), DP_OK);
    for (uint64_t at = 0; at < 128; at++)
        assert_int_equal(tree_consistency_check(&p, at, 100, older, root),
                         at == 40 ? DP_OK : DP_ERR_MISMATCH);
    /* the path of a tree of four is no path of one of eight with the same root */
    naive_root(0, 4, root);
    assert_int_equal(tree_inclusion(&nodes, 0, 4, &p), DP_OK);
    assert_int_equal(tree_inclusion_check(&p, 0, 4, leaves[0], root), DP_OK);
    assert_int_equal(tree_inclusion_check(&p, 0, 8, leaves[0], root), DP_ERR_MISMATCH);
    p.n = TREE_DEPTH_MAX + 1;
    assert_int_equal(tree_inclusion_check(&p, 40, 100, leaves[40], root), DP_ERR_MISMATCH);
    assert_int_equal(tree_consistency_check(&p, 40, 100, older, root), DP_ERR_MISMATCH);
    assert_int_equal(tree_inclusion_check(&p, 0, 0, leaves[0], root), DP_ERR_MISMATCH);
    assert_int_equal(tree_inclusion(&nodes, 0, UINT64_MAX, &p), DP_ERR_RANGE);
    assert_int_equal(tree_range_root(&nodes, 3, 3, root), DP_ERR_RANGE);
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
        cmocka_unit_test(paths_are_those_of_the_published_vectors),
        cmocka_unit_test(paths_of_every_small_tree_are_those_of_a_naive_tree),
        cmocka_unit_test(a_path_is_of_one_place),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
