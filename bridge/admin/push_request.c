#include "bridge/admin/push_request.h"

#include "base/json_slice.h"
#include <stdlib.h>

enum { BODY_DEPTH = 64 };

struct member {
    const char *name;
    enum hub_addressee to;
    bool list;
};

static const struct member addressees[] = {
    {"user", HUB_TO_USERS, false},
    {"users", HUB_TO_USERS, true},
    {"connection", HUB_TO_CONNECTIONS, false},
    {"connections", HUB_TO_CONNECTIONS, true},
    {"group", HUB_TO_GROUPS, false},
    {"groups", HUB_TO_GROUPS, true},
};

struct reading {
    struct json_reader json;
    struct push_request *out;
    size_t used_texts, used_names; /* of the blocks */
    bool addressed, has_target, has_arguments, has_except;
};

/* Texts are no longer than what they are written as, so the body's length is room for all. */
static const char *read_text(struct reading *r, size_t max, struct slice *text, const char *wrong)
{
    struct slice raw;

    if (!json_read_string(&r->json, &raw))
        return wrong;
    text->ptr = r->out->texts + r->used_texts;
    if (!json_string_unescape(raw, r->out->texts + r->used_texts, raw.len, &text->len) ||
        text->len == 0 || text->len > max)
        return wrong;
    r->used_texts += text->len;
    return NULL;
}

static const char *read_list(struct reading *r, size_t max, size_t *count, const char *wrong)
{
    if (!json_enter_array(&r->json))
        return wrong;
    for (*count = 0; json_next_item(&r->json); ++*count) {
        const char *error;

        if (*count == max)
            return wrong;
        error = read_text(r, PUSH_NAME_MAX, &r->out->names[r->used_names], wrong);
        if (error != NULL)
            return error;
        r->used_names++;
    }
    return *count == 0 ? wrong : NULL;
}

static const char *read_addressee(struct reading *r, const struct member *m)
{
    struct hub_address *address = &r->out->address;
    const char *wrong = m->list ? "a list of addressees must have 1 to 1000 texts of 1 to 320 bytes"
                                : "an addressee must be a text of 1 to 320 bytes";
    const char *error;

    if (r->addressed)
        return "more than one kind of addressee";
    r->addressed = true;
    address->to = m->to;
    address->names = r->out->names + r->used_names;
    if (m->list)
        return read_list(r, PUSH_NAMES_MAX, &address->nnames, wrong);
    error = read_text(r, PUSH_NAME_MAX, &r->out->names[r->used_names], wrong);
    r->used_names++;
    address->nnames = 1;
    return error;
}

static const char *read_all(struct reading *r)
{
    bool all;

    if (r->addressed)
        return "more than one kind of addressee";
    r->addressed = true;
    r->out->address.to = HUB_TO_ALL;
    return json_read_bool(&r->json, &all) && all ? NULL : "all must be true";
}

static const char *read_arguments(struct reading *r)
{
    struct slice raw;

    if (r->has_arguments)
        return "arguments twice";
    r->has_arguments = true;
    if (json_peek(&r->json) != JSON_KIND_ARRAY || !json_read_raw(&r->json, &raw))
        return "arguments must be a JSON array";
    r->out->arguments = (struct slice){raw.ptr + 1, raw.len - 2};
    return NULL;
}

static const char *read_member(struct reading *r, struct slice key)
{
    if (json_string_is(key, "arguments"))
        return read_arguments(r);
    if (json_string_is(key, "all"))
        return read_all(r);
    if (json_string_is(key, "target")) {
        if (r->has_target)
            return "target twice";
        r->has_target = true;
        return read_text(r, PUSH_TARGET_MAX, &r->out->target,
                         "target must be a text of 1 to 256 bytes");
    }
    if (json_string_is(key, "except")) {
        if (r->has_except)
            return "except twice";
        r->has_except = true;
        r->out->address.except = r->out->names + r->used_names;
        return read_list(r, PUSH_EXCEPT_MAX, &r->out->address.nexcept,
                         "except must be a list of 1 to 100 connection ids");
    }
    for (size_t i = 0; i < sizeof addressees / sizeof addressees[0]; i++)
        if (json_string_is(key, addressees[i].name))
            return read_addressee(r, &addressees[i]);
    return "an unknown member; there are target, arguments, except, and for the addressee user, "
           "users, connection, connections, group, groups, all";
}

static const char *read_body(struct reading *r)
{
    struct slice key;
    const char *error = NULL;

    if (json_peek(&r->json) != JSON_KIND_OBJECT)
        return "the body must be a JSON object";
    json_enter_object(&r->json);
    while (error == NULL && json_next_key(&r->json, &key))
        error = read_member(r, key);
    if (json_failed(&r->json) || (error == NULL && !json_end(&r->json)))
        return error != NULL ? error : "the body is not valid JSON";
    if (error != NULL)
        return error;
    if (!r->has_target)
        return "target is missing";
    if (!r->has_arguments)
        return "arguments is missing";
    return r->addressed ? NULL
                        : "no addressee: user, users, connection, connections, group, "
                          "groups or all";
}

const char *push_request_read(struct slice body, struct push_request *out)
{
    struct reading r = {.out = out};
    const char *error;

    *out = (struct push_request){0};
    out->texts = malloc(body.len + 1);
    out->names = malloc((PUSH_NAMES_MAX + PUSH_EXCEPT_MAX) * sizeof *out->names);
    if (out->texts == NULL || out->names == NULL) {
        push_request_free(out);
        return "out of memory";
    }
    json_reader_init(&r.json, body.ptr, body.len, BODY_DEPTH);
    error = read_body(&r);
    if (error != NULL)
        push_request_free(out);
    return error;
}

void push_request_free(struct push_request *r)
{
    free(r->names);
    free(r->texts);
    *r = (struct push_request){0};
}
