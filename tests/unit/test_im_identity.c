/* Credentials known and not known, and how many calls may run. `me` is answered by the test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* after the four above */
#include <cmocka.h>

#include "base/hash.h"
#include "bridge/im_proxy/im_counts.h"
#include "bridge/im_proxy/im_identity.h"
#include "tests/unit/rest_fake.h"

static uv_loop_t loop;
static unsigned told[3];

static void on_answer(void *arg, enum im_identity_answer answer, const struct rc_error *error)
{
    assert_ptr_equal(arg, &loop);
    assert_true(answer == IM_IDENTITY_UNKNOWN ? error != NULL
                                              : answer == IM_IDENTITY_REFUSED || error == NULL);
    told[answer]++;
}

/* The answer at hand, or -1: asked, or -2: can't be. */
static int ask(struct im_identity *c, const char *id, const char *token,
               struct im_identity_wait **wait)
{
    enum im_identity_answer answer;

    if (im_identity_ask(c, slice_of(id), slice_of(token), SLICE_LIT("10.0.0.1"), on_answer, &loop,
                        &answer, wait))
        return (int)answer;
    return *wait != NULL ? -1 : -2;
}

static void accept_as(const char *id)
{
    rest_answer(rest_pending(REST_ME), NULL, &(struct rest_me){slice_of(id), SLICE_LIT("name")},
                NULL, NULL);
}

static void sleep_ms(unsigned ms)
{
    uint64_t until = uv_hrtime() / 1000000 + ms;

    while (uv_hrtime() / 1000000 < until)
        ;
    uv_update_time(&loop);
}

static struct im_identity *begin(unsigned ttl_ms, unsigned max)
{
    hash_seed((const uint8_t[16]){1});
    assert_int_equal(uv_loop_init(&loop), 0);
    memset(told, 0, sizeof told);
    return im_identity_new(&loop, NULL, ttl_ms, max);
}

static void end(struct im_identity *c)
{
    im_identity_free(c);
    rest_free_all();
    assert_int_equal(uv_loop_close(&loop), 0);
}

static void test_asked_once(void **state)
{
    struct im_identity *c = begin(50, 10);
    struct im_identity_wait *wait;

    (void)state;
    assert_int_equal(ask(c, "u", "t", &wait), -1);
    assert_int_equal(ask(c, "u", "t", &wait), -1);
    assert_int_equal(ask(c, "u", "t", &wait), -1);
    im_identity_abandon(wait);
    assert_int_equal(rest_count(REST_ME), 1);
    accept_as("u");
    assert_int_equal(told[IM_IDENTITY_ACCEPTED], 2);
    assert_int_equal(ask(c, "u", "t", &wait), IM_IDENTITY_ACCEPTED);
    /* Other tokens, other ids, and a boundary that lies elsewhere are other credentials. */
    assert_int_equal(ask(c, "u", "x", &wait), -1);
    assert_int_equal(ask(c, "ut", "", &wait), -1);
    assert_int_equal(rest_count(REST_ME), 3);
    accept_as("somebody-else");
    rest_fail(rest_pending(REST_ME), RC_UNAUTHORIZED, NULL);
    assert_int_equal(told[IM_IDENTITY_REFUSED], 2);
    end(c);
}

static void test_times(void **state)
{
    struct im_identity *c = begin(50, 10);
    struct im_identity_wait *wait;

    (void)state;
    ask(c, "u", "t", &wait);
    accept_as("u");
    sleep_ms(60);
    assert_int_equal(ask(c, "u", "t", &wait), -1);
    rest_fail(rest_pending(REST_ME), RC_UNAUTHORIZED, NULL);
    assert_int_equal(ask(c, "u", "t", &wait), IM_IDENTITY_REFUSED);
    /* What could not be asked is not remembered. */
    ask(c, "v", "t", &wait);
    rest_fail(rest_pending(REST_ME), RC_RATE_LIMITED, NULL);
    assert_int_equal(told[IM_IDENTITY_UNKNOWN], 1);
    assert_int_equal(ask(c, "v", "t", &wait), -1);
    accept_as("v");
    im_identity_forget(c, SLICE_LIT("v"), SLICE_LIT("t"));
    assert_int_equal(ask(c, "v", "t", &wait), -1);
    /* Refused by a call while it is being asked: not remembered. */
    im_identity_forget(c, SLICE_LIT("v"), SLICE_LIT("t"));
    accept_as("v");
    assert_int_equal(ask(c, "v", "t", &wait), -1);
    accept_as("v");
    end(c);
}

static void test_bounds(void **state)
{
    struct im_identity *c = begin(60000, 3);
    struct im_identity_wait *wait;
    char id[16];

    (void)state;
    for (int i = 0; i < 3; i++) {
        snprintf(id, sizeof id, "u%d", i);
        assert_int_equal(ask(c, id, "t", &wait), -1);
        if (i > 0)
            accept_as(id);
    }
    /* The oldest one that is not being asked gives way. */
    assert_int_equal(ask(c, "u3", "t", &wait), -1);
    accept_as("u3");
    assert_int_equal(ask(c, "u2", "t", &wait), IM_IDENTITY_ACCEPTED);
    assert_int_equal(ask(c, "u0", "t", &wait), -1);
    accept_as("u0");
    assert_int_equal(ask(c, "u1", "t", &wait), -1);
    accept_as("u1");
    end(c);

    c = begin(60000, 1000);
    for (int i = 0; i < 64; i++) {
        snprintf(id, sizeof id, "u%d", i);
        assert_int_equal(ask(c, id, "t", &wait), -1);
    }
    assert_int_equal(ask(c, "one-more", "t", &wait), -2);
    while (rest_pending(REST_ME) != NULL)
        rest_fail(rest_pending(REST_ME), RC_TIMED_OUT, NULL);
    assert_int_equal(told[IM_IDENTITY_UNKNOWN], 64);
    end(c);
}

static void test_counts(void **state)
{
    struct im_counts *c = im_counts_new();
    struct im_count *a, *b, *other, *none;

    (void)state;
    hash_seed((const uint8_t[16]){1});
    assert_int_equal(im_counts_take(c, SLICE_LIT("u"), 3, 2, &a), IM_COUNTS_OK);
    assert_int_equal(im_counts_take(c, SLICE_LIT("u"), 3, 2, &b), IM_COUNTS_OK);
    assert_int_equal(im_counts_take(c, SLICE_LIT("u"), 3, 2, &none), IM_COUNTS_CALLER_FULL);
    assert_int_equal(im_counts_take(c, SLICE_LIT("v"), 3, 2, &other), IM_COUNTS_OK);
    assert_int_equal(im_counts_take(c, SLICE_LIT("w"), 3, 2, &none), IM_COUNTS_FULL);
    im_counts_drop(c, a);
    assert_int_equal(im_counts_take(c, SLICE_LIT("u"), 3, 2, &a), IM_COUNTS_OK);
    im_counts_drop(c, a);
    im_counts_drop(c, b);
    im_counts_drop(c, other);
    im_counts_drop(c, NULL);
    im_counts_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_asked_once),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_counts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
