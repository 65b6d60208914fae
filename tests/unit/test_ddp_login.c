#include "base/byte_buf.h"
#include "rocketchat/ddp_connector.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void expect(struct byte_buf *b, const char *want)
{
    assert_true(slice_eq(byte_buf_slice(b), slice_of(want)));
    byte_buf_clear(b);
}

static void test_params(void **state)
{
    struct byte_buf b = {0};

    (void)state;
    assert_true(ddp_login_resume_params(&b, SLICE_LIT("tok\"en")));
    expect(&b, "[{\"resume\":\"tok\\\"en\"}]");
    /* sha256("abc"): FIPS 180-2, B.1 */
    assert_true(ddp_login_password_params(&b, SLICE_LIT("ana@x"), SLICE_LIT("abc")));
    expect(&b, "[{\"user\":{\"username\":\"ana@x\"},\"password\":{\"digest\":"
               "\"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\","
               "\"algorithm\":\"sha-256\"}}]");
    assert_true(ddp_login_password_params(&b, SLICE_LIT(""), (struct slice){0}));
    expect(&b, "[{\"user\":{\"username\":\"\"},\"password\":{\"digest\":"
               "\"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\","
               "\"algorithm\":\"sha-256\"}}]");
    b.limit = b.cap;
    while (ddp_login_resume_params(&b, SLICE_LIT("token"))) /* until it is full */
        ;
    assert_true(byte_buf_failed(&b));
    assert_false(ddp_login_password_params(&b, SLICE_LIT("ana"), SLICE_LIT("abc")));
    byte_buf_free(&b);
}

static void test_result(void **state)
{
    static const struct {
        const char *json, *user_id, *token; /* NULL: refused */
    } cases[] = {
        {"{\"id\":\"u9\",\"token\":\"t1\",\"tokenExpires\":{\"$date\":1715000000000},\"type\":"
         "\"resume\"}",
         "u9", "t1"},
        {"{\"type\":\"password\",\"token\":\"t-_~!\",\"id\":\"u9\"}", "u9", "t-_~!"},
        {"{\"type\":\"password\",\"token\":\"t\\u0031\",\"id\":\"u9\"}", NULL, NULL},
        {"{\"token\":\"t 1\",\"id\":\"u9\"}", NULL, NULL},
        {"{\"token\":\"t1\\r\\nX-Evil: 1\",\"id\":\"u9\"}", NULL, NULL},
        {"{\"token\":\"t1\",\"id\":\"\xc3\xa4\"}", NULL, NULL},
        {"{\"token\":\"t1\x7f\",\"id\":\"u9\"}", NULL, NULL},
        {"{\"id\":\"u9\"}", NULL, NULL},
        {"{\"token\":\"t\",\"id\":\"\"}", NULL, NULL},
        {"{\"token\":\"t\",\"id\":9}", NULL, NULL},
        {"{\"id\":\"u9\",\"token\":\"t1\"", NULL, NULL},
        {"[]", NULL, NULL},
        {"", NULL, NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ddp_login_result r;

        assert_int_equal(ddp_login_result_parse(slice_of(cases[i].json), &r),
                         cases[i].user_id != NULL);
        if (cases[i].user_id == NULL)
            continue;
        assert_true(slice_eq(r.user_id, slice_of(cases[i].user_id)));
        assert_true(slice_eq(r.token, slice_of(cases[i].token)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_params),
                                       cmocka_unit_test(test_result)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
