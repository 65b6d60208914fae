/* A login by the password on the user's own DDP connection, and how it becomes known whose account
 * it gave: by the users document that comes before or behind the result (rocketchat.md 1.6). */
#include "base/byte_buf.h"
#include "base/json_slice.h"
#include "bridge/log/log.h"
#include "bridge/provisioning/password_policy.h"
#include "bridge/session/session_login_internal.h"
#include <stdlib.h>

bool session_login_wants_password(const struct user_session *s)
{
    return s->login != NULL && s->login->granted && s->login->road == LOGIN_ROAD_DDP &&
           !s->login->by_token;
}

static void take_ddp_login(struct user_session *s, struct session_login *l, struct slice result)
{
    struct ddp_login_result parsed;
    struct slice seen = {0};
    char *name = NULL;

    if (!ddp_login_result_parse(result, &parsed) ||
        !session_login_take_token(s, parsed.user_id, parsed.token)) {
        session_login_free(l);
        session_back_off(s, rc_result_name(RC_MALFORMED), 0);
        return;
    }
    s->authed = true;
    if (l->seen_id != NULL && slice_eq(slice_of(l->seen_id), parsed.user_id)) {
        name = l->seen_name;
        l->seen_name = NULL;
        seen = slice_of(name);
    }
    session_login_free(l);
    if (seen.len > 0) {
        session_login_accept(s, seen);
    } else { /* the document may as well follow (rocketchat.md 1.6) */
        s->naming = true;
        session_arm(s, session_now_ms(s->table) + SESSION_NAMING_MS);
    }
    free(name);
}

static void on_ddp_login(void *arg, struct slice result, const struct rc_error *error)
{
    struct session_login *l = arg;
    struct user_session *s = l->session;
    struct rc_error narrowed;

    if (s == NULL) {
        session_late_answered(l, result, error);
        return;
    }
    l->asked = false;
    if (s->step_at_ms == l->until_ms)
        session_arm(s, 0);
    if (error == NULL) {
        session_login_tell_done(l, NULL, NULL);
        take_ddp_login(s, l, result);
        return;
    }
    narrowed = *error;
    rc_error_narrow_login(&narrowed);
    if (session_login_ensure(l, &narrowed, NULL))
        return;
    session_login_tell_done(l, &narrowed, NULL);
    session_login_free(l);
    if (narrowed.result != RC_UNREACHABLE) /* else the connection's end follows and says it */
        session_login_fail(s, &narrowed);
}

void session_login_by_ddp(struct user_session *s)
{
    const struct settings *set = s->table->settings;
    struct slice username = slice_of(s->username);
    char made_up[PASSWORD_POLICY_BYTES];
    struct byte_buf params = {0};
    bool sent;

    /* Rocket.Chat 8's streamer takes only resume, and may well say so by the 403 that a wrong
     * password gets: asking it could blame the user. RC_NOT_FOUND closes the road for everybody. */
    if (set->im.login_via == LOGIN_VIA_AUTO && !ddp_connector_is_monolith(s->ddp)) {
        session_login_lost(s, RC_NOT_FOUND);
        session_back_off(s, "streamer", 0);
        return;
    }
    sent =
        ddp_login_password_params(&params, username,
                                  password_policy_login(set, username, made_up)) &&
        ddp_connector_call(s->ddp, "login", byte_buf_slice(&params),
                           set->logins.timeout_ms + SESSION_LATE_LOGIN_MS, on_ddp_login, s->login);
    explicit_bzero(made_up, sizeof made_up);
    if (params.data != NULL)
        explicit_bzero(params.data, params.cap);
    byte_buf_free(&params);
    if (!sent) {
        session_login_lost(s, RC_NOMEM);
        session_back_off(s, rc_result_name(RC_NOMEM), 0);
        return;
    }
    s->login->asked = true;
    s->login->until_ms = session_now_ms(s->table) + set->logins.timeout_ms;
    session_arm(s, session_sooner(s->step_at_ms, s->login->until_ms));
}

bool session_login_gave_up(struct user_session *s)
{
    struct session_login *l = s->login;
    struct rc_error error;

    if (l == NULL || !l->asked)
        return false;
    if (session_now_ms(s->table) < l->until_ms) {
        session_arm(s, l->until_ms);
        return false;
    }
    rc_error_of(&error, RC_TIMED_OUT);
    session_login_tell_done(l, &error, NULL);
    session_login_fail(s, &error); /* leaves it behind: session_late.c */
    return true;
}

void session_login_lost(struct user_session *s, enum rc_result result)
{
    struct session_login *l = s->login;
    struct rc_error error;

    if (l == NULL)
        return;
    rc_error_of(&error, result);
    session_login_tell_done(l, &error, NULL);
    session_login_free(l);
}

/* Unescaped; NULL: there is none, or no memory. */
static char *read_username(struct slice fields)
{
    struct json_reader r;
    struct slice key, raw = {0};
    size_t len;
    char *name;

    json_reader_init(&r, fields.ptr, fields.len, JSON_MAX_DEPTH);
    if (!json_enter_object(&r))
        return NULL;
    while (json_next_key(&r, &key)) {
        if (json_string_is(key, "username") && json_peek(&r) == JSON_KIND_STRING)
            json_read_string(&r, &raw);
        else
            json_skip(&r);
    }
    name = json_failed(&r) || raw.len == 0 ? NULL : calloc(1, raw.len + 1);
    if (name != NULL && json_string_unescape(raw, name, raw.len, &len) && strlen(name) == len)
        return name;
    free(name);
    return NULL;
}

/* users documents carry the name of the account that this connection is logged in as. */
void session_login_saw_user(struct user_session *s, struct slice id, struct slice fields)
{
    struct session_login *l = s->login;
    char *name;

    if (!s->naming && !session_login_wants_password(s))
        return;
    name = read_username(fields);
    if (name == NULL)
        return;
    if (!s->naming) {
        free(l->seen_id);
        free(l->seen_name);
        l->seen_id = slice_dup(id);
        l->seen_name = name;
        return;
    }
    if (slice_eq(id, slice_of(s->user_id))) {
        session_expect_nothing(s); /* `me`, if it was asked */
        session_login_accept(s, slice_of(name));
    }
    free(name);
}
