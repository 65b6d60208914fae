#include "bridge/abp/abp_map.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define MAX_WORD 256

struct abp_map {
    size_t count;
    struct abp_row rows[];
};

static const char *const verbs[] = {
    [HTTP_GET_] = "GET",         [HTTP_HEAD_] = "HEAD",   [HTTP_POST_] = "POST",
    [HTTP_PUT_] = "PUT",         [HTTP_PATCH_] = "PATCH", [HTTP_DELETE_] = "DELETE",
    [HTTP_OPTIONS_] = "OPTIONS",
};

/* What the bridge answers itself (abp.c). */
static const char *const built_in[] = {"Im/Authenticate", "Im/Logout", "Im/CreateUser",
                                       "Im/DeleteUser", "Im/GetStatus"};

const char *abp_verb_name(enum http_method verb)
{
    return verbs[verb];
}

static void row_free(struct abp_row *row)
{
    free(row->action);
    free(row->path);
    for (char **role = row->roles; role != NULL && *role != NULL; role++)
        free(*role);
    free(row->roles);
}

static bool parse_verb(struct slice word, enum http_method *out)
{
    static const enum http_method taken[] = {HTTP_GET_, HTTP_POST_, HTTP_PUT_, HTTP_PATCH_,
                                             HTTP_DELETE_};

    for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++) {
        *out = taken[i];
        if (slice_eq(word, slice_of(verbs[taken[i]])))
            return true;
    }
    return false;
}

/* Letters, digits and more, between single slashes; no part of dots alone. */
static bool is_path(struct slice word, const char *more)
{
    bool part = false; /* something but dots stands in this part */

    for (size_t i = 0; i < word.len; i++) {
        char c = word.ptr[i];

        if (c == '/' && !part)
            return false;
        if (c != '/' && !isalnum((unsigned char)c) && strchr(more, c) == NULL)
            return false;
        part = c != '/' && (part || c != '.');
    }
    return part && word.len < MAX_WORD;
}

static struct slice next_word(const char **text)
{
    struct slice word;

    *text += strspn(*text, " \t");
    word = (struct slice){*text, strcspn(*text, " \t")};
    *text += word.len;
    return word;
}

static bool parse_roles(struct slice text, struct abp_row *row)
{
    size_t n = 0;

    row->roles = calloc(text.len / 2 + 2, sizeof *row->roles);
    while (row->roles != NULL && text.len > 0) {
        const char *bar = memchr(text.ptr, '|', text.len);
        struct slice role = {text.ptr, bar == NULL ? text.len : (size_t)(bar - text.ptr)};

        if (role.len == 0)
            return false;
        row->roles[n] = slice_dup(role);
        if (row->roles[n++] == NULL)
            return false;
        text.ptr += role.len + (bar != NULL);
        text.len -= role.len + (bar != NULL);
        if (bar != NULL && text.len == 0)
            return false;
    }
    return n > 0;
}

/* NULL: *row is filled. */
static const char *parse(const char *text, struct abp_row *row)
{
    static const struct slice role = SLICE_LIT("role=");
    struct slice action, path, word;
    enum http_method upstream;

    if (!parse_verb(next_word(&text), &row->verb))
        return "must begin with GET, POST, PUT, PATCH or DELETE";
    action = next_word(&text);
    if (!is_path(action, "-_") || memchr(action.ptr, '/', action.len) == NULL)
        return "must name a Service/Action behind the verb";
    for (size_t i = 0; i < sizeof built_in / sizeof built_in[0]; i++)
        if (slice_eq_nocase(action, slice_of(built_in[i])))
            return "must not be a route the bridge has of its own";
    if (!slice_eq(next_word(&text), SLICE_LIT("->")) || !parse_verb(next_word(&text), &upstream) ||
        (upstream != HTTP_GET_ && upstream != HTTP_POST_))
        return "must have -> GET or -> POST behind the route";
    row->post = upstream == HTTP_POST_;
    path = next_word(&text);
    if (!is_path(path, "-_."))
        return "must name a REST method, as rooms.get, behind -> GET or -> POST";
    if (slice_eq_nocase(path, SLICE_LIT("logout")))
        return "must not be for logout, which would end a token of the bridge's own";
    word = next_word(&text);
    row->as_admin = slice_eq(word, SLICE_LIT("admin"));
    if (!row->as_admin && !slice_eq(word, SLICE_LIT("user")))
        return "must say user or admin behind the REST method";
    word = next_word(&text);
    if (word.len > 0 &&
        (word.len <= role.len || !slice_eq((struct slice){word.ptr, role.len}, role) ||
         !parse_roles((struct slice){word.ptr + role.len, word.len - role.len}, row)))
        return "must end with role=NAME or role=NAME|NAME, or nothing";
    if (next_word(&text).len > 0)
        return "must end behind the roles";
    row->action = slice_dup(action);
    row->path = slice_dup(path);
    return row->action == NULL || row->path == NULL ? "out of memory" : NULL;
}

const char *abp_map_check(char *text)
{
    struct abp_row row = {0};
    const char *error = parse(text, &row);

    row_free(&row);
    return error;
}

struct abp_map *abp_map_new(const struct settings_list *rows, const char **error, const char **row)
{
    struct abp_map *m = calloc(1, sizeof *m + rows->count * sizeof m->rows[0]);
    char allow[48];

    *error = "out of memory";
    *row = "";
    for (size_t i = 0; m != NULL && i < rows->count; i++) {
        struct abp_row *r = &m->rows[i];

        *row = rows->items[i];
        *error = parse(rows->items[i], r);
        if (*error == NULL && abp_map_find(m, r->verb, slice_of(r->action), allow) != NULL)
            *error = "is there already";
        if (*error != NULL) {
            row_free(r);
            abp_map_free(m);
            return NULL;
        }
        m->count++;
    }
    return m;
}

void abp_map_free(struct abp_map *m)
{
    for (size_t i = 0; m != NULL && i < m->count; i++)
        row_free(&m->rows[i]);
    free(m);
}

const struct abp_row *abp_map_find(const struct abp_map *m, enum http_method verb,
                                   struct slice action, char allow[48])
{
    size_t len = 0;

    allow[0] = '\0';
    for (size_t i = 0; i < m->count; i++) {
        const struct abp_row *row = &m->rows[i];

        if (!slice_eq_nocase(action, slice_of(row->action)))
            continue;
        if (row->verb == verb)
            return row;
        len +=
            (size_t)snprintf(allow + len, 48 - len, "%s%s", len > 0 ? ", " : "", verbs[row->verb]);
    }
    return NULL;
}
