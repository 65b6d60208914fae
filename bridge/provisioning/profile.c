#include "bridge/provisioning/profile.h"

#include "bridge/identity/claim_template.h"
#include <stdio.h>
#include <stdlib.h>

struct templates {
    size_t count;
    struct claim_template **items;
};

struct profile_rules {
    struct templates emails, names, roles;
};

static void free_templates(struct templates *t)
{
    for (size_t i = 0; i < t->count; i++)
        claim_template_free(t->items[i]);
    free(t->items);
}

static bool read_templates(struct templates *t, const struct settings_list *list,
                           const char *setting, char *error, size_t error_len)
{
    const char *why = "out of memory";

    t->items = calloc(list->count + 1, sizeof(struct claim_template *));
    for (; t->items != NULL && t->count < list->count; t->count++) {
        t->items[t->count] = claim_template_new(list->items[t->count], &why);
        if (t->items[t->count] == NULL)
            break;
    }
    if (t->items != NULL && t->count == list->count)
        return true;
    snprintf(error, error_len, "PushBridge:Provisioning:%s: %s", setting, why);
    return false;
}

struct profile_rules *profile_rules_new(const struct settings *s, char *error, size_t error_len)
{
    struct profile_rules *r = calloc(1, sizeof *r);

    if (r == NULL) {
        snprintf(error, error_len, "out of memory");
        return NULL;
    }
    if (read_templates(&r->emails, &s->provisioning.email_templates, "EmailTemplates", error,
                       error_len) &&
        read_templates(&r->names, &s->provisioning.name_templates, "NameTemplates", error,
                       error_len) &&
        read_templates(&r->roles, &s->provisioning.roles, "Roles", error, error_len))
        return r;
    profile_rules_free(r);
    return NULL;
}

void profile_rules_free(struct profile_rules *r)
{
    if (r == NULL)
        return;
    free_templates(&r->emails);
    free_templates(&r->names);
    free_templates(&r->roles);
    free(r);
}

static bool is_fit(const struct byte_buf *text)
{
    if (byte_buf_failed(text) || text->len == 0)
        return false;
    for (size_t i = 0; i < text->len; i++)
        if ((unsigned char)text->data[i] < 0x20 || text->data[i] == 0x7f)
            return false;
    return true;
}

/* Takes text, if it is fit, with a NUL behind it. */
static bool take(struct byte_buf *packed, struct byte_buf *text, bool filled)
{
    bool fit = filled && is_fit(text) && packed->len + text->len < PROFILE_MAX_BYTES - 2;

    if (fit) {
        byte_buf_put(packed, byte_buf_slice(text));
        byte_buf_putc(packed, '\0');
    }
    byte_buf_clear(text);
    return fit;
}

static void pack_first(struct byte_buf *packed, struct byte_buf *text, const struct templates *t,
                       const struct identity *who, const struct json_t *claims)
{
    for (size_t i = 0; i < t->count; i++)
        if (take(packed, text, claim_template_write(t->items[i], who, claims, text)))
            return;
    byte_buf_putc(packed, '\0');
}

static void pack_roles(struct byte_buf *packed, struct byte_buf *text, const struct templates *t,
                       const struct identity *who, const struct json_t *claims)
{
    unsigned n = 0;

    for (size_t i = 0; i < t->count; i++)
        for (size_t item = 0; item < PROFILE_MAX_ROLES && n < PROFILE_MAX_ROLES; item++) {
            bool filled = claim_template_write_item(t->items[i], who, claims, item, text);

            n += take(packed, text, filled);
            if (!filled)
                break;
        }
}

bool profile_pack(const struct profile_rules *r, const struct identity *who,
                  const struct json_t *claims, struct byte_buf *packed)
{
    struct byte_buf text = {.limit = PROFILE_TEXT_MAX};

    pack_first(packed, &text, &r->emails, who, claims);
    pack_first(packed, &text, &r->names, who, claims);
    pack_roles(packed, &text, &r->roles, who, claims);
    byte_buf_free(&text);
    return !byte_buf_failed(packed);
}

void profile_unpack(struct slice packed, struct profile *out)
{
    size_t n = 0;

    *out = (struct profile){.email = "", .name = ""};
    while (packed.len > 0) {
        const char *nul = memchr(packed.ptr, '\0', packed.len);

        if (nul == NULL)
            return; /* our own packing ends with one */
        if (n == 0)
            out->email = packed.ptr;
        else if (n == 1)
            out->name = packed.ptr;
        else if (out->nroles < PROFILE_MAX_ROLES)
            out->roles[out->nroles++] = packed.ptr;
        n++;
        packed.len -= (size_t)(nul - packed.ptr) + 1;
        packed.ptr = nul + 1;
    }
}
