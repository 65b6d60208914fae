#include "bridge/identity/claim_template.h"

#include "bridge/identity/identity.h"

#include <jansson.h>
#include <stdlib.h>

enum piece_kind { PIECE_TEXT, PIECE_NAME, PIECE_ID, PIECE_TENANT, PIECE_CLAIM };

struct piece {
    enum piece_kind kind;
    char *text; /* PIECE_TEXT: as it stands; PIECE_CLAIM: the claim's name */
};

/* A name or an address has no use for more; it keeps a slip from growing. */
#define MAX_PIECES 16

struct claim_template {
    size_t npieces;
    struct piece pieces[MAX_PIECES];
};

static bool add_piece(struct claim_template *t, enum piece_kind kind, struct slice text,
                      const char **error)
{
    if (t->npieces == MAX_PIECES) {
        *error = "too many parts";
        return false;
    }
    struct piece *piece = &t->pieces[t->npieces];
    piece->kind = kind;
    piece->text = slice_dup(text);
    if (piece->text == NULL) {
        *error = "out of memory";
        return false;
    }
    t->npieces++;
    return true;
}

static bool add_placeholder(struct claim_template *t, struct slice name, const char **error)
{
    static const struct slice claim = SLICE_LIT("claim:");

    if (slice_eq(name, SLICE_LIT("name")))
        return add_piece(t, PIECE_NAME, name, error);
    if (slice_eq(name, SLICE_LIT("id")))
        return add_piece(t, PIECE_ID, name, error);
    if (slice_eq(name, SLICE_LIT("tenant")))
        return add_piece(t, PIECE_TENANT, name, error);
    if (slice_eq(name, SLICE_LIT("sub")))
        return add_piece(t, PIECE_CLAIM, name, error);
    if (name.len > claim.len && slice_eq((struct slice){name.ptr, claim.len}, claim))
        return add_piece(t, PIECE_CLAIM, (struct slice){name.ptr + claim.len, name.len - claim.len},
                         error);
    *error = "unknown placeholder; there are {name}, {id}, {sub}, {tenant} and {claim:NAME}";
    return false;
}

static bool parse(struct claim_template *t, const char *text, const char **error)
{
    while (*text != '\0') {
        size_t literal = strcspn(text, "{}");

        if (literal > 0 && !add_piece(t, PIECE_TEXT, (struct slice){text, literal}, error))
            return false;
        text += literal;
        if (*text == '\0')
            break;
        const char *end = strchr(text, '}');
        if (*text == '}' || end == NULL) {
            *error = "unbalanced braces";
            return false;
        }
        if (!add_placeholder(t, (struct slice){text + 1, (size_t)(end - text - 1)}, error))
            return false;
        text = end + 1;
    }
    return true;
}

struct claim_template *claim_template_new(const char *text, const char **error)
{
    struct claim_template *t = calloc(1, sizeof *t);

    *error = "out of memory";
    if (t == NULL || parse(t, text, error))
        return t;
    claim_template_free(t);
    return NULL;
}

void claim_template_free(struct claim_template *t)
{
    for (size_t i = 0; t != NULL && i < t->npieces; i++)
        free(t->pieces[i].text);
    free(t);
}

bool claim_template_is_constant(const struct claim_template *t)
{
    for (size_t i = 0; i < t->npieces; i++)
        if (t->pieces[i].kind != PIECE_TEXT)
            return false;
    return true;
}

static bool append_claim(struct byte_buf *out, const json_t *value)
{
    if (json_is_string(value))
        byte_buf_append(out, json_string_value(value), json_string_length(value));
    else if (json_is_integer(value))
        byte_buf_printf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else
        return false;
    return true;
}

/* False: what the piece asks for is missing. */
static bool append_piece(struct byte_buf *out, const struct piece *piece,
                         const struct identity *who, const json_t *value)
{
    size_t before = out->len;

    switch (piece->kind) {
    case PIECE_TEXT:
        byte_buf_puts(out, piece->text);
        break;
    case PIECE_NAME:
        byte_buf_puts(out, who->name);
        break;
    case PIECE_ID:
        byte_buf_puts(out, who->user_id);
        break;
    case PIECE_TENANT:
        byte_buf_puts(out, who->tenant);
        break;
    case PIECE_CLAIM:
        if (!append_claim(out, value))
            return false;
        break;
    }
    return byte_buf_failed(out) || out->len > before; /* an empty value is a missing one */
}

static const json_t *claim_of(const struct piece *piece, const json_t *claims)
{
    return piece->kind == PIECE_CLAIM ? json_object_get(claims, piece->text) : NULL;
}

bool claim_template_write(const struct claim_template *t, const struct identity *who,
                          const struct json_t *claims, struct byte_buf *out)
{
    for (size_t i = 0; i < t->npieces; i++)
        if (!append_piece(out, &t->pieces[i], who, claim_of(&t->pieces[i], claims)))
            return false;
    return true;
}

bool claim_template_write_item(const struct claim_template *t, const struct identity *who,
                               const struct json_t *claims, size_t item, struct byte_buf *out)
{
    bool is_list = false;

    for (size_t i = 0; i < t->npieces; i++) {
        const json_t *value = claim_of(&t->pieces[i], claims);

        if (json_is_array(value)) {
            is_list = true;
            value = json_array_get(value, item);
        }
        if (!append_piece(out, &t->pieces[i], who, value))
            return false;
    }
    return is_list || item == 0;
}
