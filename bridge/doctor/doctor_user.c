#include "bridge/doctor/doctor_internal.h"

#include "base/json_slice.h"
#include "bridge/login/login_hint.h"
#include "bridge/provisioning/password_policy.h"
#include "rocketchat/ddp_connector.h"
#include "rocketchat/rest_client.h"

enum { CALL_MS = 15 * 1000, FIRE_MS = 5 * 1000, PATIENCE_MS = 100 };

enum sub { SUB_MESSAGE, SUB_ROOMS, SUB_SUBSCRIPTIONS, NSUBS };
static const char *const sub_names[NSUBS] = {"message", "rooms-changed", "subscriptions-changed"};

struct patient {
    struct doctor *d;
    struct ddp_connector *ddp;     /* NULL: ended */
    bool connected, opened, ended; /* opened: or given up */
    bool done;                     /* the latest call; the connection's end is not its answer */
    char detail[200];
    char user_id[64], token[256], username[256];
    struct rc_error error; /* of the latest call; RC_OK: it worked */
    char room[64];         /* one of the user's, for the toggling */
    bool favourite;
    bool fired[NSUBS];
};

/* ---- the connection ---- */

static void on_connected(void *arg, struct slice session_id)
{
    struct patient *p = arg;

    (void)session_id;
    p->connected = p->opened = true;
}

static void on_event(void *arg, const struct ddp_event *event)
{
    struct patient *p = arg;
    const char *slash = memchr(event->event_name.ptr, '/', event->event_name.len);

    for (int i = 0; slash != NULL && i < NSUBS; i++)
        if (slice_eq((struct slice){slash + 1, (size_t)(event->event_name.ptr +
                                                        event->event_name.len - slash - 1)},
                     slice_of(sub_names[i])))
            p->fired[i] = true;
}

static void on_document(void *arg, struct slice msg, struct slice collection, struct slice id,
                        struct slice fields)
{
    (void)arg, (void)msg, (void)collection, (void)id, (void)fields;
}

static void on_subscription_end(void *arg, uint32_t sub_id, const struct rc_error *error)
{
    (void)arg, (void)sub_id, (void)error;
}

static void on_end(void *arg, enum ddp_end how, unsigned code, const char *detail)
{
    struct patient *p = arg;

    p->ddp = NULL;
    p->ended = p->opened = true;
    (void)how;
    snprintf(p->detail, sizeof p->detail, "%s (%u)", detail, code);
}

static bool open_connection(struct patient *p)
{
    static const struct ddp_callbacks callbacks = {.on_connected = on_connected,
                                                   .on_event = on_event,
                                                   .on_document = on_document,
                                                   .on_subscription_end = on_subscription_end,
                                                   .on_end = on_end};
    const struct rc_endpoint *at = &p->d->settings->im.address.ddp;

    p->ddp = ddp_connector_open(p->d->ddp, &callbacks, p);
    if (p->ddp == NULL)
        return false;
    doctor_wait(p->d, &p->opened);
    if (!p->connected) {
        doctor_say(p->d, DOCTOR_FAIL, "ddp",
                   "%s://%s:%u%s gives no Rocket.Chat connection: %s. Does the proxy before it "
                   "pass WebSockets on? Im:WebSocketAddress may name another way",
                   at->tls ? "wss" : "ws", at->host, at->port, at->path, p->detail);
        return false;
    }
    doctor_say(p->d, DOCTOR_OK, "ddp", "connected; it looks like a %s",
               ddp_connector_is_monolith(p->ddp) ? "monolith" : "streamer (micro services)");
    return true;
}

/* ---- calls, each waited for ---- */

static void on_result(void *arg, struct slice result, const struct rc_error *error)
{
    struct patient *p = arg;

    (void)result;
    p->done = true;
    if (error != NULL)
        p->error = *error;
}

/* False: not done, and p->error says why. */
static bool wait_for(struct patient *p, bool sent)
{
    if (!sent)
        rc_error_of(&p->error, RC_UNREACHABLE);
    else
        doctor_wait(p->d, &p->done);
    return p->error.result == RC_OK;
}

static void begin(struct patient *p)
{
    p->done = false;
    p->error = (struct rc_error){0};
}

static bool call(struct patient *p, const char *method, struct slice params, ddp_result_fn fn)
{
    begin(p);
    return wait_for(p,
                    p->ddp != NULL && ddp_connector_call(p->ddp, method, params, CALL_MS, fn, p));
}

/* ---- login ---- */

static void on_rest_login(void *arg, const struct rest_login *login, const struct rc_error *error,
                          const struct rest_rate *rate)
{
    struct patient *p = arg;

    p->done = true;
    doctor_limits(p->d, rate);
    if (error != NULL) {
        p->error = *error;
        return;
    }
    doctor_keep(p->user_id, sizeof p->user_id, login->user_id);
    doctor_keep(p->token, sizeof p->token, login->auth_token);
    doctor_keep(p->username, sizeof p->username, login->username);
}

static void on_me(void *arg, const struct rest_me *me, const struct rc_error *error)
{
    struct patient *p = arg;

    p->done = true;
    if (error != NULL)
        p->error = *error;
    else
        doctor_keep(p->username, sizeof p->username, me->username);
}

static void on_ddp_login(void *arg, struct slice result, const struct rc_error *error)
{
    struct patient *p = arg;
    struct ddp_login_result parsed;

    p->done = true;
    if (error != NULL)
        p->error = *error;
    else if (!ddp_login_result_parse(result, &parsed) || parsed.token.len >= sizeof p->token)
        rc_error_of(&p->error, RC_MALFORMED);
    else {
        doctor_keep(p->user_id, sizeof p->user_id, parsed.user_id);
        doctor_keep(p->token, sizeof p->token, parsed.token);
    }
}

static bool login_by_rest(struct patient *p, struct slice password)
{
    begin(p);
    return wait_for(
        p, rest_login(p->d->rest, slice_of(p->d->username), password, on_rest_login, p) != NULL);
}

static bool login_by_ddp(struct patient *p, struct slice password)
{
    struct byte_buf params = {0};
    bool good = ddp_login_password_params(&params, slice_of(p->d->username), password) &&
                call(p, "login", byte_buf_slice(&params), on_ddp_login);

    if (params.data != NULL)
        explicit_bzero(params.data, params.cap);
    byte_buf_free(&params);
    return good;
}

static bool resume(struct patient *p)
{
    struct byte_buf params = {0};
    bool good = ddp_login_resume_params(&params, slice_of(p->token)) &&
                call(p, "login", byte_buf_slice(&params), on_ddp_login);

    if (params.data != NULL)
        explicit_bzero(params.data, params.cap);
    byte_buf_free(&params);
    return good;
}

static void say_login_failed(struct patient *p)
{
    const char *hint = login_hint(p->error.code);

    if (p->error.result == RC_UNAUTHORIZED && p->d->settings->provisioning.enabled) {
        doctor_say(p->d, DOCTOR_WARN, "login",
                   "%s can't log in (%s): the bridge creates the account when the user comes, if "
                   "Rocket.Chat has none of that name; else its password is another than the "
                   "bridge's",
                   p->d->username, p->error.code);
        return;
    }
    doctor_say(p->d, p->error.result == RC_RATE_LIMITED ? DOCTOR_WARN : DOCTOR_FAIL, "login",
               "%s can't log in (%s)%s%s", p->d->username, p->error.code, hint == NULL ? "" : ": ",
               hint == NULL ? "" : hint);
}

static bool check_account(struct patient *p)
{
    const struct settings *s = p->d->settings;
    enum rc_account_result account;

    if (p->username[0] == '\0') {
        begin(p);
        wait_for(p,
                 rest_me(p->d->rest, slice_of(p->user_id), slice_of(p->token), on_me, p) != NULL);
    }
    account = rc_account_check(p->d->username, slice_of(p->username), slice_of(p->user_id),
                               s->im.admin_user_name, s->im.admin_user_id);
    if (account == RC_ACCOUNT_OK)
        return true;
    doctor_say(p->d, DOCTOR_FAIL, "login", "Rocket.Chat logged %s in as %s (%s): %s",
               p->d->username, p->username, rc_account_code(account),
               login_hint(rc_account_code(account)));
    return false;
}

/* The user's own token, on the DDP connection. */
static bool login(struct patient *p)
{
    const enum settings_login_via via = p->d->settings->im.login_via;
    char made_up[PASSWORD_POLICY_BYTES];
    const struct slice password =
        password_policy_login(p->d->settings, slice_of(p->d->username), made_up);
    bool by_rest = via != LOGIN_VIA_DDP, good;

    if (password.len == 0) {
        doctor_say(p->d, DOCTOR_WARN, "login",
                   "not tried: PushBridge:Provisioning:PasswordPolicy is token, and a token made "
                   "for the user is for a session alone");
        return false;
    }
    good = by_rest ? login_by_rest(p, password) : login_by_ddp(p, password);
    if (!good && by_rest && via == LOGIN_VIA_AUTO && p->error.result == RC_RATE_LIMITED &&
        ddp_connector_is_monolith(p->ddp)) {
        doctor_say(p->d, DOCTOR_WARN, "login",
                   "REST logins are at their limit (%s), as they may be while the bridge works; "
                   "by DDP instead",
                   p->error.code);
        by_rest = false;
        good = login_by_ddp(p, password);
    }
    explicit_bzero(made_up, sizeof made_up);
    if (!good) {
        say_login_failed(p);
        return false;
    }
    if (!check_account(p))
        return false;
    if (by_rest && !resume(p)) {
        doctor_say(p->d, DOCTOR_FAIL, "login",
                   "REST took the password, but DDP did not take the token (%s): do "
                   "Im:Address and Im:WebSocketAddress lead to the same Rocket.Chat?",
                   p->error.code);
        return false;
    }
    doctor_say(p->d, DOCTOR_OK, "login", "%s logs in by %s, and on the DDP connection", p->username,
               by_rest ? "REST" : "DDP");
    return true;
}

static void on_logged_out(void *arg, const struct rc_error *error)
{
    on_result(arg, (struct slice){0}, error);
}

static void logout(struct patient *p)
{
    begin(p);
    if (!wait_for(p, rest_logout(p->d->rest, slice_of(p->user_id), slice_of(p->token),
                                 on_logged_out, p) != NULL))
        doctor_say(p->d, DOCTOR_WARN, "logout", "it failed (%s): a token of %s is left over",
                   p->error.code, p->d->username);
    else
        doctor_say(p->d, DOCTOR_OK, "logout", "the user's token is gone again");
}

/* ---- subscriptions ---- */

static bool subscribe(struct patient *p, enum sub which)
{
    struct byte_buf params = {0};
    bool sent = false;

    begin(p);
    byte_buf_printf(&params, "[\"%s/%s\",false]", p->user_id, sub_names[which]);
    if (p->ddp != NULL && !byte_buf_failed(&params))
        sent = ddp_connector_subscribe(p->ddp, "stream-notify-user", byte_buf_slice(&params),
                                       p->d->settings->session.ready_timeout_ms, on_result, p) != 0;
    byte_buf_free(&params);
    return wait_for(p, sent);
}

/* The first room of subscriptions/get, and whether it is a favourite. */
static void on_rooms(void *arg, struct slice result, const struct rc_error *error)
{
    struct patient *p = arg;
    struct json_reader r;
    struct slice key, rid = {0};
    bool favourite = false;

    p->done = true;
    if (error != NULL) {
        p->error = *error;
        return;
    }
    json_reader_init(&r, result.ptr, result.len, JSON_MAX_DEPTH);
    if (!json_enter_array(&r) || !json_next_item(&r) || !json_enter_object(&r))
        return;
    while (json_next_key(&r, &key)) {
        if (json_string_is(key, "rid") && json_peek(&r) == JSON_KIND_STRING)
            json_read_string(&r, &rid);
        else if (json_string_is(key, "f") && json_peek(&r) == JSON_KIND_TRUE)
            json_read_bool(&r, &favourite);
        else
            json_skip(&r);
    }
    /* It goes into a call as it stands. */
    if (!json_failed(&r) && rid.len < sizeof p->room)
        doctor_keep(p->room, sizeof p->room, rid);
    p->favourite = favourite;
}

static bool set_favourite(struct patient *p, bool favourite)
{
    char params[128];

    snprintf(params, sizeof params, "[\"%s\",%s]", p->room, favourite ? "true" : "false");
    return call(p, "toggleFavorite", slice_of(params), on_result);
}

static void on_timer_closed(uv_handle_t *timer)
{
    *(bool *)timer->data = true;
}

static void on_patience(uv_timer_t *timer)
{
    (void)timer; /* the loop's turn is what is waited for */
}

static void wait_for_event(struct patient *p, enum sub which)
{
    const uint64_t until = uv_now(&p->d->loop) + FIRE_MS;
    bool closed = false;
    uv_timer_t timer;

    uv_timer_init(&p->d->loop, &timer);
    timer.data = &closed;
    uv_timer_start(&timer, on_patience, PATIENCE_MS, PATIENCE_MS);
    while (!p->fired[which] && p->ddp != NULL && uv_now(&p->d->loop) < until)
        uv_run(&p->d->loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&timer, on_timer_closed);
    doctor_wait(p->d, &closed);
}

/* A change of the user's own that nobody else sees: a room becomes a favourite, or stops being one,
 * and back. Rocket.Chat's toggleFavorite changes the user's subscription and tells
 * subscriptions-changed [RC apps/meteor/server/methods/toggleFavorite.ts @029da89f]. Nothing like
 * it exists for the other two: a room's change is seen by its members, and a private notice by the
 * user. */
static void provoke(struct patient *p)
{
    if (!call(p, "subscriptions/get", SLICE_LIT("[]"), on_rooms) || p->room[0] == '\0') {
        doctor_say(p->d, DOCTOR_OK, "subscription",
                   "subscriptions-changed: ready; not fired: no room of the user's is known (%s)",
                   p->error.code[0] == '\0' ? "none" : p->error.code);
        return;
    }
    p->fired[SUB_SUBSCRIPTIONS] = false;
    if (!set_favourite(p, !p->favourite)) {
        doctor_say(p->d, DOCTOR_WARN, "subscription",
                   "subscriptions-changed: ready; not fired: Rocket.Chat refused the change that "
                   "would have (%s)",
                   p->error.code);
        return;
    }
    wait_for_event(p, SUB_SUBSCRIPTIONS);
    if (p->fired[SUB_SUBSCRIPTIONS])
        doctor_say(p->d, DOCTOR_OK, "subscription", "subscriptions-changed: ready, and it fired");
    else
        doctor_say(p->d, DOCTOR_FAIL, "subscription",
                   "subscriptions-changed: ready, but a change of the user's was not told within "
                   "%d s: are Rocket.Chat's instances connected to each other?",
                   FIRE_MS / 1000);
    if (!set_favourite(p, p->favourite))
        doctor_say(p->d, DOCTOR_FAIL, "subscription",
                   "room %s was made %s favourite of %s and could not be put back (%s)", p->room,
                   p->favourite ? "no" : "a", p->username, p->error.code);
}

static void check_subscriptions(struct patient *p)
{
    bool ready[NSUBS];

    for (int i = 0; i < NSUBS; i++) {
        ready[i] = subscribe(p, (enum sub)i);
        if (!ready[i])
            doctor_say(p->d, i == SUB_MESSAGE ? DOCTOR_WARN : DOCTOR_FAIL, "subscription",
                       "%s: refused (%s)", sub_names[i], p->error.code);
    }
    if (ready[SUB_MESSAGE])
        doctor_say(p->d, DOCTOR_OK, "subscription",
                   "message: ready; not fired, as that would show the user a notice");
    if (ready[SUB_ROOMS])
        doctor_say(p->d, DOCTOR_OK, "subscription",
                   "rooms-changed: ready; not fired, as that would take a change others see");
    if (ready[SUB_SUBSCRIPTIONS])
        provoke(p);
}

static void leave(struct patient *p)
{
    if (p->ddp == NULL)
        return;
    ddp_connector_close(p->ddp);
    doctor_wait(p->d, &p->ended);
}

void doctor_user(struct doctor *d)
{
    struct patient p = {.d = d};

    if (!open_connection(&p)) {
        leave(&p);
        return;
    }
    if (d->username[0] == '\0')
        doctor_say(d, DOCTOR_WARN, "login", "not tried: there is no good token that names a user");
    else if (login(&p))
        check_subscriptions(&p);
    if (p.token[0] != '\0')
        logout(&p);
    leave(&p);
    explicit_bzero(p.token, sizeof p.token);
}
