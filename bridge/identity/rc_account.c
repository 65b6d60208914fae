#include "bridge/identity/rc_account.h"

#include "base/byte_buf.h"
#include "bridge/identity/claim_template.h"
#include "bridge/identity/identity.h"

#include <assert.h>
#include <jansson.h>
#include <stdlib.h>

struct rc_account {
    bool is_default; /* no template was set */
    struct claim_template *name;
    char **reserved; /* NULL-terminated; the admin's name is among them */
};

static bool copy_reserved(struct rc_account *a, const char *const *reserved, const char *admin_name)
{
    size_t count = 0, n = 0;

    while (reserved != NULL && reserved[count] != NULL)
        count++;
    a->reserved = calloc(count + 2, sizeof *a->reserved);
    if (a->reserved == NULL)
        return false;
    for (; n < count; n++) {
        a->reserved[n] = strdup(reserved[n]);
        if (a->reserved[n] == NULL)
            return false;
    }
    if (admin_name == NULL || *admin_name == '\0')
        return true;
    a->reserved[n] = strdup(admin_name);
    return a->reserved[n] != NULL;
}

struct rc_account *rc_account_new(const char *template_text, const char *const *reserved,
                                  const char *admin_name, const char **error)
{
    struct rc_account *a = calloc(1, sizeof *a);

    *error = "out of memory";
    if (a == NULL)
        return NULL;
    a->is_default = template_text == NULL || *template_text == '\0';
    if (!copy_reserved(a, reserved, admin_name))
        goto fail;
    a->name = claim_template_new(a->is_default ? "{name}" : template_text, error);
    if (a->name == NULL)
        goto fail;
    if (!claim_template_is_constant(a->name))
        return a;
    *error = "no placeholder: everybody would be one account";
fail:
    rc_account_free(a);
    return NULL;
}

void rc_account_free(struct rc_account *a)
{
    if (a == NULL)
        return;
    claim_template_free(a->name);
    for (char **name = a->reserved; name != NULL && *name != NULL; name++)
        free(*name);
    free(a->reserved);
    free(a);
}

/* The next character of *s, folded where its fold is ASCII; steps over it. Bytes of other
 * characters come one by one, which compares them exactly. */
static unsigned char next_folded(struct slice *s)
{
    unsigned char c = (unsigned char)s->ptr[0];
    size_t len = 1;

    if (s->len >= 3 && memcmp(s->ptr, "\xe2\x84\xaa", 3) == 0) {
        c = 'k'; /* U+212A KELVIN SIGN */
        len = 3;
    } else if (s->len >= 2 && memcmp(s->ptr, "\xc5\xbf", 2) == 0) {
        c = 's'; /* U+017F LATIN SMALL LETTER LONG S */
        len = 2;
    } else if (c >= 'A' && c <= 'Z') {
        c = (unsigned char)(c - 'A' + 'a');
    }
    s->ptr += len;
    s->len -= len;
    return c;
}

bool rc_account_same_name(struct slice a, struct slice b)
{
    while (a.len > 0 && b.len > 0) {
        if (next_folded(&a) != next_folded(&b))
            return false;
    }
    return a.len == 0 && b.len == 0;
}

static bool is_usable(struct slice name)
{
    if (name.len == 0 || name.ptr[0] == ' ' || name.ptr[name.len - 1] == ' ')
        return false;
    for (size_t i = 0; i < name.len; i++) {
        unsigned char c = (unsigned char)name.ptr[i];

        if (c < 0x20 || c == 0x7f)
            return false;
    }
    return true;
}

bool rc_account_is_reserved(const struct rc_account *a, struct slice name)
{
    for (char **reserved = a->reserved; *reserved != NULL; reserved++)
        if (rc_account_same_name(name, slice_of(*reserved)))
            return true;
    return false;
}

enum rc_account_result rc_account_name(const struct rc_account *a, const struct identity *identity,
                                       const struct json_t *claims,
                                       char out[RC_ACCOUNT_MAX_BYTES + 1])
{
    struct byte_buf name = {.limit = RC_ACCOUNT_MAX_BYTES};
    enum rc_account_result result = RC_ACCOUNT_CLAIM_MISSING;

    if (a->is_default && identity->tenant[0] != '\0')
        return RC_ACCOUNT_TENANT_TEMPLATE;
    if (!claim_template_write(a->name, identity, claims, &name))
        goto done;
    result = RC_ACCOUNT_BAD_NAME;
    if (byte_buf_failed(&name) || !is_usable(byte_buf_slice(&name)))
        goto done;
    result = RC_ACCOUNT_RESERVED;
    if (rc_account_is_reserved(a, byte_buf_slice(&name)))
        goto done;
    memcpy(out, name.data, name.len);
    out[name.len] = '\0';
    result = RC_ACCOUNT_OK;
done:
    byte_buf_free(&name);
    return result;
}

enum rc_account_result rc_account_check(const char *asked, struct slice answered_name,
                                        struct slice answered_id, const char *admin_name,
                                        const char *admin_id)
{
    if ((admin_id != NULL && *admin_id != '\0' && slice_eq(answered_id, slice_of(admin_id))) ||
        (admin_name != NULL && *admin_name != '\0' &&
         rc_account_same_name(answered_name, slice_of(admin_name))))
        return RC_ACCOUNT_ADMIN;
    return slice_eq(answered_name, slice_of(asked)) ? RC_ACCOUNT_OK : RC_ACCOUNT_OTHER_NAME;
}

const char *rc_account_code(enum rc_account_result result)
{
    static const char *const codes[RC_ACCOUNT_NRESULTS] = {
        [RC_ACCOUNT_OK] = "ok",
        [RC_ACCOUNT_TENANT_TEMPLATE] = "tenant-template",
        [RC_ACCOUNT_CLAIM_MISSING] = "account-claim-missing",
        [RC_ACCOUNT_BAD_NAME] = "account-bad-name",
        [RC_ACCOUNT_RESERVED] = "account-reserved",
        [RC_ACCOUNT_OTHER_NAME] = "account-other-name",
        [RC_ACCOUNT_ADMIN] = "account-admin",
    };

    assert((unsigned)result < RC_ACCOUNT_NRESULTS);
    return codes[result];
}
