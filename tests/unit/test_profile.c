#include "bridge/identity/identity.h"
#include "bridge/provisioning/password_policy.h"
#include "bridge/provisioning/profile.h"
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct identity who = {.user_key = "42", .user_id = "42", .name = "ana", .tenant = ""};

static char mail[] = "{claim:mail}", email[] = "{claim:email}",
            full[] = "{claim:given} {claim:sur}", name[] = "{name}", user[] = "user",
            role[] = "{claim:role}", broken[] = "{nobody}";
static char *emails[] = {mail, email, NULL}, *names[] = {full, name, NULL},
            *roles[] = {user, role, NULL}, *bad[] = {user, broken, NULL};

static struct settings settings;

static struct profile_rules *rules(void)
{
    char error[256];
    struct profile_rules *r;

    settings.provisioning.email_templates = (struct settings_list){emails, 2};
    settings.provisioning.name_templates = (struct settings_list){names, 2};
    settings.provisioning.roles = (struct settings_list){roles, 2};
    r = profile_rules_new(&settings, error, sizeof error);
    assert_non_null(r);
    return r;
}

static void check(const char *claims_text, const char *want_email, const char *want_name,
                  const char *want_roles)
{
    struct profile_rules *r = rules();
    json_t *claims = json_loads(claims_text, 0, NULL);
    struct byte_buf packed = {0};
    struct profile p;
    char seen[512] = "";

    assert_true(profile_pack(r, &who, claims, &packed));
    profile_unpack(byte_buf_slice(&packed), &p);
    assert_string_equal(p.email, want_email);
    assert_string_equal(p.name, want_name);
    for (size_t i = 0; i < p.nroles; i++)
        snprintf(seen + strlen(seen), sizeof seen - strlen(seen), "%s ", p.roles[i]);
    assert_string_equal(seen, want_roles);
    byte_buf_free(&packed);
    json_decref(claims);
    profile_rules_free(r);
}

static void test_pack(void **state)
{
    (void)state;
    check("{}", "", "ana", "user ");
    check("{\"email\":\"a@x\",\"given\":\"An\",\"sur\":\"A\",\"role\":\"r\"}", "a@x", "An A",
          "user r ");
    check("{\"email\":\"a@x\",\"mail\":\"b@x\",\"given\":\"An\",\"role\":[\"r\",\"s\"]}", "b@x",
          "ana", "user r s ");
    check("{\"mail\":\"b\\n@x\",\"email\":\"a@x\"}", "a@x", "ana", "user "); /* no control bytes */
}

static void test_bounds(void **state)
{
    char text[8192] = "{\"mail\":\"";

    (void)state;
    memset(text + strlen(text), 'x', 300);
    strcat(text, "\",\"email\":\"a@x\",\"role\":[");
    for (int i = 0; i < 100; i++)
        strcat(text, i == 0 ? "\"r\"" : ",\"r\"");
    strcat(text, "]}");
    check(text, "a@x", "ana", "user r r r r r r r r r r r r r r r "); /* 16 at most */
}

static void test_unpack_nonsense(void **state)
{
    struct profile p;

    (void)state;
    profile_unpack((struct slice){"no nul", 6}, &p);
    assert_string_equal(p.email, "");
    profile_unpack((struct slice){0}, &p);
    assert_int_equal(p.nroles, 0);
}

static void test_a_bad_template_is_named(void **state)
{
    char error[256];

    (void)state;
    profile_rules_free(rules());
    settings.provisioning.roles = (struct settings_list){bad, 2};
    assert_null(profile_rules_new(&settings, error, sizeof error));
    assert_non_null(strstr(error, "PushBridge:Provisioning:Roles: unknown placeholder"));
}

/* ---- passwords ---- */

static char shared[] = "123qwe", secret[] = "0123456789abcdef0123456789abcdef";

static void test_passwords(void **state)
{
    char a[PASSWORD_POLICY_BYTES], b[PASSWORD_POLICY_BYTES];
    struct slice ana, bob;

    (void)state;
    settings.im.default_password = shared;
    settings.provisioning.password_secret = secret;
    settings.provisioning.password_policy = PASSWORD_SHARED;
    assert_true(
        slice_eq(password_policy_login(&settings, SLICE_LIT("ana"), a), SLICE_LIT("123qwe")));
    assert_true(slice_eq(password_policy_new(&settings, SLICE_LIT("ana"), a), SLICE_LIT("123qwe")));

    settings.provisioning.password_policy = PASSWORD_DERIVED;
    ana = password_policy_login(&settings, SLICE_LIT("ana"), a);
    /* printf ana | openssl dgst -sha256 -hmac 0123456789abcdef0123456789abcdef -binary | base64 */
    assert_string_equal(a, "1m538X-vm88j9sTWyYgU4Ck9FQqsUUc6Ez5vHycb5gsaA1!");
    assert_int_equal(ana.len, 47);
    bob = password_policy_new(&settings, SLICE_LIT("bob"), b);
    assert_false(slice_eq(ana, bob));
    assert_true(slice_eq(ana, password_policy_new(&settings, SLICE_LIT("ana"), b)));

    settings.provisioning.password_policy = PASSWORD_TOKEN;
    assert_int_equal(password_policy_login(&settings, SLICE_LIT("ana"), a).len, 0);
    ana = password_policy_new(&settings, SLICE_LIT("ana"), a);
    bob = password_policy_new(&settings, SLICE_LIT("ana"), b);
    assert_int_equal(ana.len, 47);
    assert_false(slice_eq(ana, bob)); /* nobody's to know */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pack),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_unpack_nonsense),
        cmocka_unit_test(test_a_bad_template_is_named),
        cmocka_unit_test(test_passwords),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
