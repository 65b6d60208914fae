#include "base/base64.h"
#include "base/hash.h"
#include "signalr/hub/home.h"
#include "signalr/hub/hub_token.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
/* cmocka wants the three above first */
#include <cmocka.h>

static void test_drawn_at_home(void **state)
{
    static const unsigned nshards[] = {1, 2, 7, 64};

    (void)state;
    for (size_t i = 0; i < sizeof nshards / sizeof nshards[0]; i++)
        for (unsigned shard = 0; shard < nshards[i]; shard++) {
            char token[HUB_TOKEN_LEN];
            uint8_t raw[16];
            size_t len;

            assert_true(hub_token_draw(token, shard, nshards[i]));
            assert_int_equal(home_of((struct slice){token, sizeof token}, nshards[i]), shard);
            assert_true(base64_decode(BASE64_URL, (struct slice){token, sizeof token}, raw,
                                      sizeof raw, &len));
            assert_int_equal(len, 16);
        }
}

static void test_never_twice(void **state)
{
    static char tokens[200][HUB_TOKEN_LEN];

    (void)state;
    for (size_t i = 0; i < 200; i++) {
        assert_true(hub_token_draw(tokens[i], 1, 4));
        for (size_t j = 0; j < i; j++)
            assert_memory_not_equal(tokens[i], tokens[j], HUB_TOKEN_LEN);
    }
}

int main(void)
{
    static const uint8_t key[16] = "a fixed test key";
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_drawn_at_home),
        cmocka_unit_test(test_never_twice),
    };

    hash_seed(key);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
