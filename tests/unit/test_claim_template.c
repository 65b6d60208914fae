#include "bridge/identity/claim_template.h"
#include "bridge/identity/identity.h"
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct identity who = {
    .user_key = "42@1", .user_id = "42", .name = "ana", .tenant = "1"};

static json_t *claims(void)
{
    return json_loads("{\"sub\":\"s\",\"n\":7,\"e\":\"\",\"f\":1.5,\"roles\":[\"A\",\"B\",3,{}],"
                      "\"http://x/y\":\"uri\"}",
                      0, NULL);
}

static const struct {
    const char *text, *want; /* want NULL: not filled */
} texts[] = {
    {"", ""},
    {"plain", "plain"},
    {"{name}-{id}@{tenant}", "ana-42@1"},
    {"{sub}{claim:n}{claim:http://x/y}", "s7uri"},
    {"{claim:none}", NULL},
    {"{claim:e}", NULL},
    {"{claim:f}", NULL},
    {"{claim:roles}", NULL}, /* several: which one? */
};

static void test_write(void **state)
{
    json_t *c = claims();

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        const char *error;
        struct claim_template *t = claim_template_new(texts[i].text, &error);
        struct byte_buf out = {0};

        assert_non_null(t);
        assert_int_equal(claim_template_write(t, &who, c, &out), texts[i].want != NULL);
        byte_buf_putc(&out, '\0');
        if (texts[i].want != NULL)
            assert_string_equal(out.data, texts[i].want);
        byte_buf_free(&out);
        claim_template_free(t);
    }
    json_decref(c);
}

static void check_item(const struct claim_template *t, const json_t *c, size_t item,
                       const char *want)
{
    struct byte_buf out = {0};

    assert_int_equal(claim_template_write_item(t, &who, c, item, &out), want != NULL);
    byte_buf_putc(&out, '\0');
    if (want != NULL)
        assert_string_equal(out.data, want);
    byte_buf_free(&out);
}

static void test_items(void **state)
{
    const char *error;
    struct claim_template *t = claim_template_new("abp-{claim:roles}", &error);
    json_t *c = claims();

    (void)state;
    check_item(t, c, 0, "abp-A");
    check_item(t, c, 1, "abp-B");
    check_item(t, c, 2, "abp-3");
    check_item(t, c, 3, NULL); /* no text */
    check_item(t, c, 4, NULL);
    claim_template_free(t);
    t = claim_template_new("{name}", &error);
    check_item(t, c, 0, "ana");
    check_item(t, c, 1, NULL);
    claim_template_free(t);
    json_decref(c);
}

static void test_bad_ones(void **state)
{
    static const char *const bad[] = {
        "{",
        "}",
        "{name",
        "{nobody}",
        "{claim:}",
        "a}b",
        ("{id}{id}{id}{id}{id}{id}{id}{id}{id}{id}{id}{id}{id}{id}{id}"
         "{id}{id}")};
    const char *error;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_null(claim_template_new(bad[i], &error));
}

static void test_constant(void **state)
{
    const char *error;
    struct claim_template *a = claim_template_new("user", &error);
    struct claim_template *b = claim_template_new("u-{id}", &error);

    (void)state;
    assert_true(claim_template_is_constant(a));
    assert_false(claim_template_is_constant(b));
    claim_template_free(a);
    claim_template_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write),
        cmocka_unit_test(test_items),
        cmocka_unit_test(test_bad_ones),
        cmocka_unit_test(test_constant),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
