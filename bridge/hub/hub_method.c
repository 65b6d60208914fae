#include "bridge/hub/hub_method.h"

#include "base/json_slice.h"
#include "rocketchat/rc_date.h"
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

enum { ID_MAX = 255, NEW_ID_LEN = 17, COUNT_MAX = 100 };

static const struct hub_method methods[] = {
    {.name = "Register", .action = ACTION_REGISTER},
    {
        .name = "OpenRoom",
        .action = ACTION_OPEN,
        .needed = 1,
        .args = {{ARG_ROOM, NULL}},
    },
    {
        .name = "CloseRoom",
        .action = ACTION_CLOSE,
        .needed = 1,
        .args = {{ARG_ROOM, NULL}},
    },
    {
        .name = "SendMessage", /* room, text, id, thread, also in the room */
        .action = ACTION_SEND,
        .result = RESULT_VALUE,
        .needed = 2,
        .args = {{ARG_ROOM, NULL},
                 {ARG_TEXT, NULL},
                 {ARG_NEW_ID, NULL},
                 {ARG_ID, NULL},
                 {ARG_BOOL, NULL}},
        .method = "sendMessage",
        .params = "[{\"_id\":$2,\"rid\":$0,\"msg\":$1?3<,\"tmid\":$3>!4<,\"tshow\":true>}]",
        .route = "chat.sendMessage",
        .body = "{\"message\":{\"_id\":$2,\"rid\":$0,\"msg\":$1?3<,\"tmid\":$3>!4<,\"tshow\":"
                "true>}}",
        .member = "message",
    },
    {
        .name = "EditMessage", /* room, message, text */
        .action = ACTION_CALL,
        .needed = 3,
        .args = {{ARG_ROOM, NULL}, {ARG_ID, NULL}, {ARG_TEXT, NULL}},
        .method = "updateMessage",
        .params = "[{\"_id\":$1,\"rid\":$0,\"msg\":$2}]",
        .route = "chat.update",
        .body = "{\"roomId\":$0,\"msgId\":$1,\"text\":$2}",
    },
    {
        .name = "DeleteMessage", /* room, message */
        .action = ACTION_CALL,
        .needed = 2,
        .args = {{ARG_ROOM, NULL}, {ARG_ID, NULL}},
        .method = "deleteMessage",
        .params = "[{\"_id\":$1,\"rid\":$0}]",
        .route = "chat.delete",
        .body = "{\"roomId\":$0,\"msgId\":$1}",
    },
    {
        .name = "React", /* message, emoji, on: never Rocket.Chat's toggle, so it can be repeated */
        .action = ACTION_CALL,
        .needed = 2,
        .args = {{ARG_ID, NULL}, {ARG_NAME, NULL}, {ARG_BOOL, "true"}},
        .method = "setReaction",
        .params = "[$1,$0,$2]",
        .route = "chat.react",
        .body = "{\"messageId\":$0,\"emoji\":$1,\"shouldReact\":$2}",
    },
    {
        .name = "MarkRead", /* room, threads too */
        .action = ACTION_CALL,
        .needed = 1,
        .args = {{ARG_ROOM, NULL}, {ARG_BOOL, NULL}},
        .method = "readMessages",
        .params = "[$0?1<,$1>]",
        .route = "subscriptions.read",
        .body = "{\"rid\":$0?1<,\"readThreads\":$1>}",
    },
    {
        .name = "Typing", /* room, on, thread, name: Rocket.Chat takes none but the user's own */
        .action = ACTION_TYPING,
        .needed = 1,
        .args = {{ARG_ROOM, NULL}, {ARG_BOOL, "true"}, {ARG_ID, NULL}, {ARG_NAME, NULL}},
        .method = "stream-notify-room",
        .params = "[\"~0/user-activity\",?3<$3>^3<$u>,[!1<\"user-typing\">],{?2<\"tmid\":$2>}]",
    },
    {
        .name = "OpenDirectMessage", /* user name */
        .action = ACTION_CALL,
        .result = RESULT_VALUE,
        .needed = 1,
        .args = {{ARG_NAME, NULL}},
        .method = "createDirectMessage",
        .params = "[$0]",
        .route = "im.create",
        .body = "{\"username\":$0}",
        .member = "room",
    },
    {
        .name = "History", /* room, before, count, thread replies too */
        .action = ACTION_CALL,
        .result = RESULT_ITEMS,
        .needed = 1,
        .args = {{ARG_ROOM, NULL}, {ARG_DATE, NULL}, {ARG_COUNT, "50"}, {ARG_BOOL, "true"}},
        .method = "loadHistory",
        .params = "[$0,$1,$2,null,$3]",
    },
    {.name = "ListRooms", .action = ACTION_ROOMS, .result = RESULT_VALUE},
    {
        .name = "JoinRoom", /* room, its code */
        .action = ACTION_CALL,
        .needed = 1,
        .args = {{ARG_ROOM, NULL}, {ARG_TEXT, NULL}},
        .method = "joinRoom",
        .params = "[$0?1<,$1>]",
        .route = "channels.join",
        .body = "{\"roomId\":$0?1<,\"joinCode\":$1>}",
    },
    {
        .name = "LeaveRoom",
        .action = ACTION_CALL,
        .needed = 1,
        .args = {{ARG_ROOM, NULL}},
        .method = "leaveRoom",
        .params = "[$0]",
        .route = "rooms.leave",
        .body = "{\"roomId\":$0}",
    },
    {
        .name = "Call", /* method, its params */
        .action = ACTION_NAMED,
        .result = RESULT_VALUE,
        .needed = 1,
        .args = {{ARG_NAME, NULL}},
    },
};

const struct hub_method *hub_method_table(size_t *count)
{
    *count = sizeof methods / sizeof methods[0];
    return methods;
}

const struct hub_method *hub_method_find(struct slice name)
{
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
        if (slice_eq_nocase(name, slice_of(methods[i].name)))
            return &methods[i];
    return NULL;
}

bool hub_method_is_stream(const struct hub_method *m)
{
    return m->result == RESULT_ITEMS;
}

/* ---- arguments ---- */

/* What an id may be made of: it goes into stream names (a slash would name another event) and is
 * compared with Rocket.Chat's raw texts (which escape none of this). */
static bool is_id(struct slice raw)
{
    if (raw.len == 0 || raw.len > ID_MAX)
        return false;
    for (size_t i = 0; i < raw.len; i++)
        if (raw.ptr[i] <= ' ' || raw.ptr[i] > '~' || strchr("\"\\/", raw.ptr[i]) != NULL)
            return false;
    return true;
}

static bool is_alphanumeric(struct slice raw)
{
    for (size_t i = 0; i < raw.len; i++) {
        const char c = raw.ptr[i];

        if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z')))
            return false;
    }
    return true;
}

static bool string_fits(enum hub_arg_kind kind, struct slice raw)
{
    switch (kind) {
    case ARG_ROOM: /* __my_messages__ would be the messages of all rooms */
        return is_id(raw) && !(raw.len >= 2 && memcmp(raw.ptr, "__", 2) == 0);
    case ARG_ID:
        return is_id(raw);
    case ARG_NEW_ID:
        return raw.len == NEW_ID_LEN && is_alphanumeric(raw);
    case ARG_NAME:
        return raw.len > 0 && raw.len <= ID_MAX;
    default:
        return true;
    }
}

static bool read_date(struct json_reader *r, struct hub_args *out, struct slice *given)
{
    int64_t ms;
    int len;

    if (json_peek(r) == JSON_KIND_NUMBER) {
        if (!json_read_int64(r, &ms))
            return false;
    } else {
        ms = rc_date_read(r);
    }
    if (ms == RC_NO_DATE || json_failed(r))
        return false;
    len = snprintf(out->date, sizeof out->date, "{\"$date\":%" PRId64 "}", ms);
    *given = (struct slice){out->date, (size_t)len};
    return true;
}

static bool read_arg(struct json_reader *r, enum hub_arg_kind kind, struct hub_args *out,
                     struct slice *given)
{
    const char *mark = json_mark(r);
    struct slice raw;
    int64_t count;
    bool flag;

    switch (kind) {
    case ARG_ROOM:
    case ARG_ID:
    case ARG_NEW_ID:
    case ARG_NAME:
    case ARG_TEXT:
        if (!json_read_string(r, &raw) || !string_fits(kind, raw))
            return false;
        break;
    case ARG_BOOL:
        if (!json_read_bool(r, &flag))
            return false;
        break;
    case ARG_COUNT:
        if (!json_read_int64(r, &count) || count < 1 || count > COUNT_MAX)
            return false;
        break;
    case ARG_DATE:
        return read_date(r, out, given);
    case ARG_NONE:
        return false;
    }
    *given = json_since(r, mark);
    return true;
}

/* ACTION_NAMED: all that is left of the array, checked and cut out as it stands. */
static bool read_more(struct json_reader *r, struct slice *more)
{
    struct slice item;

    *more = (struct slice){0};
    while (json_next_item(r)) {
        if (!json_read_raw(r, &item))
            return false;
        if (more->ptr == NULL)
            more->ptr = item.ptr;
        more->len = (size_t)(item.ptr + item.len - more->ptr);
    }
    return true;
}

bool hub_args_parse(const struct hub_method *m, struct slice json, struct hub_args *out)
{
    struct json_reader r;
    unsigned n = 0;

    *out = (struct hub_args){0};
    json_reader_init(&r, json.ptr, json.len, JSON_MAX_DEPTH);
    if (!json_enter_array(&r))
        return false;
    while (n < HUB_ARGS_MAX && m->args[n].kind != ARG_NONE && json_next_item(&r)) {
        if (json_peek(&r) == JSON_KIND_NULL && n >= m->needed)
            json_skip(&r);
        else if (!read_arg(&r, m->args[n].kind, out, &out->given[n]))
            return false;
        n++;
    }
    if (n < m->needed)
        return false;
    if (m->action == ACTION_NAMED
            ? !read_more(&r, &out->more)
            : (n == HUB_ARGS_MAX || m->args[n].kind == ARG_NONE) && json_next_item(&r))
        return false;
    if (!json_end(&r))
        return false;
    for (unsigned i = 0; i < HUB_ARGS_MAX && m->args[i].kind != ARG_NONE; i++)
        if (out->given[i].ptr == NULL)
            out->given[i] = slice_of(m->args[i].fallback);
    return true;
}

struct slice hub_args_text(const struct hub_args *args, unsigned n)
{
    const struct slice given = args->given[n];

    assert(n < HUB_ARGS_MAX && given.len >= 2 && given.ptr[0] == '"');
    return (struct slice){given.ptr + 1, given.len - 2};
}

/* ---- templates ---- */

static const char *skip_block(const char *at)
{
    at = strchr(at, '>');
    assert(at != NULL);
    return at + 1;
}

static bool lets_in(char condition, struct slice given)
{
    if (condition == '!')
        return slice_eq(given, SLICE_LIT("true"));
    return (given.ptr != NULL) == (condition == '?');
}

void hub_method_write(const char *template, const struct hub_args *args, struct slice user,
                      struct byte_buf *out)
{
    for (const char *at = template; *at != '\0';) {
        const char *special = strpbrk(at, "$~?^!>");
        struct slice given;

        if (special == NULL)
            special = at + strlen(at);
        byte_buf_append(out, at, (size_t)(special - at));
        at = special;
        if (*at == '\0' || *at == '>') { /* a block that was let in ends */
            at += *at == '>';
            continue;
        }
        if (at[1] == 'u') {
            json_write_string(out, user);
            at += 2;
            continue;
        }
        given = args->given[at[1] - '0'];
        switch (*at) {
        case '$':
            byte_buf_put(out, given.ptr == NULL ? SLICE_LIT("null") : given);
            at += 2;
            break;
        case '~':
            byte_buf_put(out, hub_args_text(args, (unsigned)(at[1] - '0')));
            at += 2;
            break;
        default: /* ?n< ^n< !n< */
            at = lets_in(*at, given) ? at + 3 : skip_block(at);
            break;
        }
    }
}
