/* Typing: told under the name that Rocket.Chat shows, since it takes no other, and does not say so.
 * Which one that is, the public setting UI_Use_Real_Name tells, read now and then for all users of
 * the shard; the user's own name comes with the users document of the DDP connection (7.x and
 * later; rocketchat.md 1.6), else by `me`.
 *
 * Sources: rocketchat.md 3.2; canType() of notifications.module.ts (indexed ids 354007482,
 * 333956035, 522640965: 3.x to 8.x); settings.public {_id, count}, no login needed: v1/settings.ts
 * (id 70210327). A server too old for _id answers with all of them, count=0 says: on one page. */
#include "base/json_slice.h"
#include "bridge/session/session_calls_internal.h"
#include "rocketchat/rest_answer.h"
#include <stdlib.h>

enum {
    SETTING_KNOWN_MS = 10 * 60 * 1000,
    AGAIN_MS = 30 * 1000, /* no answer, or it is on its way: go on with what is known */
    NAME_MAX_BYTES = 512, /* as JSON, with quotes */
};

/* ---- the user's own name ---- */

void session_saw_name(struct user_session *s, struct slice document)
{
    struct json_reader r;
    struct slice key, raw, name = {0};

    json_reader_init(&r, document.ptr, document.len, JSON_MAX_DEPTH);
    if (!json_enter_object(&r))
        return;
    while (json_next_key(&r, &key))
        if (json_read_raw(&r, &raw) && json_string_is(key, "name") && raw.ptr[0] == '"')
            name = raw;
    if (json_failed(&r) || name.ptr == NULL || name.len > NAME_MAX_BYTES)
        return;
    free(s->real_name);
    s->real_name = slice_dup(name);
}

static void tell(struct session_call *call)
{
    if (call->session->table->shows_real_names && call->session->real_name != NULL)
        call->args.given[3] = slice_of(call->session->real_name);
    session_method_send(call);
}

/* REST gives ten answers a minute to all of us: who is told to wait does so for the others, too. */
static void take_me(struct session_call *call, struct slice json, const struct rc_error *error)
{
    struct session_table *t = call->session->table;

    if (error == NULL)
        session_saw_name(call->session, json);
    else
        t->me_again_ms = session_now_ms(t) + AGAIN_MS;
    tell(call);
}

static void tell_named(struct session_call *call)
{
    const struct session_table *t = call->session->table;

    if (t->shows_real_names && call->session->real_name == NULL &&
        session_now_ms(t) >= t->me_again_ms)
        session_ask_rest(call, "me", (struct slice){0}, (struct slice){0}, take_me);
    else
        tell(call);
}

/* ---- the setting ---- */

static void take_setting(struct session_call *call, struct slice json, const struct rc_error *error)
{
    struct session_table *t = call->session->table;
    const uint64_t now = session_now_ms(t);
    bool on;

    if (error == NULL && rest_answer_setting(json, "UI_Use_Real_Name", &on)) {
        t->shows_real_names = on;
        t->names_known_until_ms = now + SETTING_KNOWN_MS;
    } else if (t->names_known_until_ms < now + AGAIN_MS) {
        t->names_known_until_ms = now + AGAIN_MS;
    }
    tell_named(call);
}

void session_typing_run(struct session_call *call)
{
    struct session_table *t = call->session->table;
    const uint64_t now = session_now_ms(t);

    if (call->args.given[3].ptr != NULL) {
        session_method_send(call);
    } else if (now < t->names_known_until_ms) {
        tell_named(call);
    } else {
        if (t->names_known_until_ms != 0)
            t->names_known_until_ms = now + AGAIN_MS;
        session_ask_rest(call, "settings.public", SLICE_LIT("_id=UI_Use_Real_Name&count=0"),
                         (struct slice){0}, take_setting);
    }
}
