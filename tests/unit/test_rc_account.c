#include "bridge/identity/rc_account.h"

#include "bridge/identity/identity.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const char *const reserved[] = {"rocket.cat", "Bot K", "\xd0\x96", NULL};

#define R256                                                                                       \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" \
    "aaaa"                                                                                         \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" \
    "aaaa"                                                                                         \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const struct {
    const char *template_text, *id, *name, *tenant, *claims;
    enum rc_account_result want;
    const char *account;
} names[] = {
    {NULL, "1", "alice", "", "{}", RC_ACCOUNT_OK, "alice"},
    {"", "1", "Alice.B", "", "{}", RC_ACCOUNT_OK, "Alice.B"},
    {"", "1", "", "", "{}", RC_ACCOUNT_CLAIM_MISSING, NULL},
    /* the tenant rule: set explicitly, even to {name}, is consent */
    {NULL, "1", "alice", "2", "{}", RC_ACCOUNT_TENANT_TEMPLATE, NULL},
    {"{name}", "1", "alice", "2", "{}", RC_ACCOUNT_OK, "alice"},
    {"{tenant}_{name}", "1", "alice", "2", "{}", RC_ACCOUNT_OK, "2_alice"},
    {"{tenant}_{name}", "1", "alice", "", "{}", RC_ACCOUNT_CLAIM_MISSING, NULL},
    {"abp_{sub}", "1", "", "", "{\"sub\":\"77\"}", RC_ACCOUNT_OK, "abp_77"},
    {"abp_{sub}", "1", "", "", "{\"sub\":77}", RC_ACCOUNT_OK, "abp_77"},
    {"abp_{id}", "1", "", "", "{\"sub\":\"77\"}", RC_ACCOUNT_OK, "abp_1"},
    {"{claim:http://x/y}!", "1", "", "", "{\"http://x/y\":\"v\"}", RC_ACCOUNT_OK, "v!"},
    {"{claim:http://x/y}", "1", "n", "", "{}", RC_ACCOUNT_CLAIM_MISSING, NULL},
    {"{claim:e}", "1", "n", "", "{\"e\":\"\"}", RC_ACCOUNT_CLAIM_MISSING, NULL},
    {"{claim:e}", "1", "n", "", "{\"e\":[\"v\"]}", RC_ACCOUNT_CLAIM_MISSING, NULL},
    {"{claim:e}", "1", "n", "", "{\"e\":null}", RC_ACCOUNT_CLAIM_MISSING, NULL},
    {"{claim:e}", "1", "n", "", "{\"e\":1.5}", RC_ACCOUNT_CLAIM_MISSING, NULL},
    {"{claim:e}", "1", "n", "", "{\"e\":\"a\\nb\"}", RC_ACCOUNT_BAD_NAME, NULL},
    {"{claim:e}", "1", "n", "", "{\"e\":\" a\"}", RC_ACCOUNT_BAD_NAME, NULL},
    {"{name} ", "1", "n", "", "{}", RC_ACCOUNT_BAD_NAME, NULL},
    {NULL, "1", R256, "", "{}", RC_ACCOUNT_OK, R256},
    {"x{name}", "1", R256, "", "{}", RC_ACCOUNT_BAD_NAME, NULL},
    /* a value isn't read as a template */
    {NULL, "1", "{id}", "", "{}", RC_ACCOUNT_OK, "{id}"},
    /* reserved, in whatever case */
    {NULL, "1", "rocket.cat", "", "{}", RC_ACCOUNT_RESERVED, NULL},
    {NULL, "1", "Rocket.CAT", "", "{}", RC_ACCOUNT_RESERVED, NULL},
    {NULL, "1",
     "roc\xe2\x84\xaa"
     "et.cat",
     "", "{}", RC_ACCOUNT_RESERVED, NULL}, /* KELVIN SIGN */
    {NULL, "1", "bot k", "", "{}", RC_ACCOUNT_RESERVED, NULL},
    {NULL, "1", "SUPER", "", "{}", RC_ACCOUNT_RESERVED, NULL},
    {NULL, "1", "\xc5\xbfuper", "", "{}", RC_ACCOUNT_RESERVED, NULL}, /* LONG S */
    {"{name}er", "1", "Sup", "", "{}", RC_ACCOUNT_RESERVED, NULL},    /* the result counts */
    {NULL, "1", "\xd0\x96", "", "{}", RC_ACCOUNT_RESERVED, NULL},
    {NULL, "1", "superb", "", "{}", RC_ACCOUNT_OK, "superb"},
    {NULL, "1", "supe", "", "{}", RC_ACCOUNT_OK, "supe"},
    {NULL, "1", "\xe2\x84\xab", "", "{}", RC_ACCOUNT_OK, "\xe2\x84\xab"}, /* ANGSTROM SIGN */
};

static void test_names(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const struct identity who = {
            .user_id = names[i].id, .name = names[i].name, .tenant = names[i].tenant};
        json_t *claims = json_loads(names[i].claims, 0, NULL);
        char out[RC_ACCOUNT_MAX_BYTES + 1];
        const char *error;
        struct rc_account *a = rc_account_new(names[i].template_text, reserved, "Super", &error);

        assert_non_null(a);
        enum rc_account_result got = rc_account_name(a, &who, claims, out);
        if (got != names[i].want)
            fail_msg("row %zu, %s: %s", i, names[i].name, rc_account_code(got));
        if (got == RC_ACCOUNT_OK)
            assert_string_equal(out, names[i].account);
        rc_account_free(a);
        json_decref(claims);
    }
}

static void test_templates(void **state)
{
    static const char *const bad[] = {
        "{",        "}",
        "{name",    "name}",
        "{}",       "{Name}",
        "{claim:}", "{claim}",
        "{ name}",  "{name}}",
        "{{name}}", "constant",
        "{user}",   "{id}{id}{id}{id}{id}{id}{id}{id}{id}{id}{id}{id}{id}{id}{id}{id}{id}"};
    const char *error = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        error = NULL;
        assert_null(rc_account_new(bad[i], reserved, "super", &error));
        assert_non_null(error);
    }
}

/* Without an admin's name and reserved names nothing is reserved. */
static void test_nothing_reserved(void **state)
{
    const struct identity who = {.user_id = "1", .name = "super", .tenant = ""};
    char out[RC_ACCOUNT_MAX_BYTES + 1];
    const char *error;
    struct rc_account *a = rc_account_new(NULL, NULL, NULL, &error);

    (void)state;
    assert_int_equal(rc_account_name(a, &who, NULL, out), RC_ACCOUNT_OK);
    rc_account_free(a);
}

static void test_check(void **state)
{
    static const struct {
        const char *asked, *name, *id, *admin_name, *admin_id;
        enum rc_account_result want;
    } cases[] = {
        {"alice", "alice", "u1", "super", "u0", RC_ACCOUNT_OK},
        {"alice", "alice", "u1", NULL, NULL, RC_ACCOUNT_OK},
        {"alice", "alice", "u1", "", "", RC_ACCOUNT_OK},
        {"alice", "Alice", "u1", "super", "u0", RC_ACCOUNT_OTHER_NAME},
        {"alice", "bob", "u1", "super", "u0", RC_ACCOUNT_OTHER_NAME},
        {"alice", "alice2", "u1", "super", "u0", RC_ACCOUNT_OTHER_NAME},
        {"alice", "alic", "u1", "super", "u0", RC_ACCOUNT_OTHER_NAME},
        {"alice", "", "u1", "super", "u0", RC_ACCOUNT_OTHER_NAME},
        {"alice", "alice", "u0", "super", "u0", RC_ACCOUNT_ADMIN},
        {"Super", "Super", "u1", "super", NULL, RC_ACCOUNT_ADMIN},
        {"alice", "", "", NULL, "", RC_ACCOUNT_OTHER_NAME},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(rc_account_check(cases[i].asked, slice_of(cases[i].name),
                                          slice_of(cases[i].id), cases[i].admin_name,
                                          cases[i].admin_id),
                         cases[i].want);
    assert_string_equal(rc_account_code(RC_ACCOUNT_TENANT_TEMPLATE), "tenant-template");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_templates),
        cmocka_unit_test(test_nothing_reserved),
        cmocka_unit_test(test_check),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
