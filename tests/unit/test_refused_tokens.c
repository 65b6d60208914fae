/* The memory of refused tokens: found by key and name, the latest first, and never more than fits.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bridge/identity/refused_tokens.h"
#include <stdio.h>

static struct refused_tokens t;

static int start(void **state)
{
    (void)state;
    memset(&t, 0, sizeof t);
    return 0;
}

static void note(const char *key, const char *name, const char *reason, uint64_t now_ms)
{
    refused_tokens_note(&t, slice_of(key), slice_of(name), reason, SLICE_LIT("192.0.2.1"), now_ms);
}

static void test_found(void **state)
{
    const struct refused_token *r;

    (void)state;
    assert_null(refused_tokens_find(&t, SLICE_LIT("7@1")));
    assert_null(refused_tokens_find(&t, SLICE_LIT(""))); /* an empty name finds no empty place */
    note("7@1", "ana", "expired", 10);
    note("8", "bob", "bad signature", 20);
    note("7@1", "ana", "wrong issuer", 30);
    note("7@1", "ana", "expired", 40);
    r = refused_tokens_find(&t, SLICE_LIT("7@1"));
    assert_string_equal(r->reason, "expired");
    assert_int_equal(r->times, 2);
    assert_int_equal(r->at_ms, 40);
    assert_string_equal(r->address, "192.0.2.1");
    assert_ptr_equal(refused_tokens_find(&t, SLICE_LIT("ana")), r);
    assert_string_equal(refused_tokens_find(&t, SLICE_LIT("bob"))->reason, "bad signature");
    note("8", "bob", "no exp claim", 50);
    assert_string_equal(refused_tokens_find(&t, SLICE_LIT("bob"))->reason, "no exp claim");
    assert_null(refused_tokens_find(&t, SLICE_LIT("an")));
}

static void test_bounded(void **state)
{
    static char long_name[1000];
    char key[16];

    (void)state;
    for (unsigned i = 0; i < 2 * REFUSED_TOKENS_MAX; i++) {
        snprintf(key, sizeof key, "u%u", i);
        note(key, "", "expired", i);
        note("noisy", "", "expired", i); /* takes one place, however often */
    }
    assert_null(refused_tokens_find(&t, SLICE_LIT("u64")));
    assert_non_null(refused_tokens_find(&t, SLICE_LIT("u65")));
    assert_int_equal(refused_tokens_find(&t, SLICE_LIT("noisy"))->times, 2 * REFUSED_TOKENS_MAX);
    memset(long_name, 'x', sizeof long_name - 1);
    note(long_name, long_name, "expired", 999);
    note(long_name, long_name, "expired", 999);
    long_name[REFUSED_TOKEN_NAME_MAX] = '\0';
    assert_int_equal(refused_tokens_find(&t, slice_of(long_name))->times, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_found, start),
        cmocka_unit_test_setup(test_bounded, start),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
