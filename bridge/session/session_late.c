/* A password login over DDP that its session does not wait for any more: it took too long, or the
 * session left. Rocket.Chat may make the token all the same, and would keep it for 90 days, so the
 * login goes on with the connection, which is the session's no more, until the answer came, and
 * what it got is logged out there. The session is free to log in anew meanwhile.
 *
 * There are no more of these than logins can begin (Logins:MaxRunning) in the time they are given
 * (Logins:TimeoutSeconds + SESSION_LATE_LOGIN_MS). */
#include "bridge/session/session_login_internal.h"
#include <stdlib.h>
#include <utlist.h>

static void forget_token(struct session_login *l)
{
    if (l->late_token != NULL)
        explicit_bzero(l->late_token, strlen(l->late_token));
    free(l->late_token);
    free(l->late_user_id);
    l->late_token = l->late_user_id = NULL;
}

/* ---- the connection's callbacks ---- */

static void on_connected(void *arg, struct slice session_id)
{
    (void)arg;
    (void)session_id;
}

static void on_event(void *arg, const struct ddp_event *event)
{
    (void)arg;
    (void)event;
}

static void on_document(void *arg, struct slice msg, struct slice collection, struct slice id,
                        struct slice fields)
{
    (void)arg;
    (void)msg;
    (void)collection;
    (void)id;
    (void)fields;
}

static void on_subscription_end(void *arg, uint32_t sub_id, const struct rc_error *error)
{
    (void)arg;
    (void)sub_id;
    (void)error;
}

static void on_end(void *arg, enum ddp_end how, unsigned code, const char *detail)
{
    struct session_login *l = arg;

    (void)code;
    (void)detail;
    session_count_end(l->table, how);
    DL_DELETE(l->table->late, l);
    forget_token(l);
    session_login_free(l);
}

/* ---- from the session's end to the login's ---- */

void session_late_begin(struct session_login *l, struct user_session *s)
{
    static const struct ddp_callbacks callbacks = {
        .on_connected = on_connected,
        .on_event = on_event,
        .on_document = on_document,
        .on_subscription_end = on_subscription_end,
        .on_end = on_end,
    };

    l->session = NULL;
    l->link = s->ddp;
    s->ddp = NULL;
    ddp_connector_pass_on(l->link, &callbacks, l);
    DL_APPEND(l->table->late, l);
}

static void on_logged_out(void *arg, struct slice result, const struct rc_error *error)
{
    struct session_login *l = arg;

    (void)result;
    if (error != NULL && error->result != RC_UNAUTHORIZED) /* over REST, then */
        logout_queue_add(l->table->logouts, slice_of(l->late_user_id), slice_of(l->late_token));
    forget_token(l);
    ddp_connector_close(l->link);
}

void session_late_answered(struct session_login *l, struct slice result,
                           const struct rc_error *error)
{
    struct ddp_login_result parsed;

    if (error == NULL && ddp_login_result_parse(result, &parsed)) {
        l->late_user_id = slice_dup(parsed.user_id);
        l->late_token = slice_dup(parsed.token);
        if (l->late_user_id != NULL && l->late_token != NULL &&
            ddp_connector_call(l->link, "logout", SLICE_LIT("[]"), SESSION_LOGOUT_MS, on_logged_out,
                               l))
            return;
        logout_queue_add(l->table->logouts, parsed.user_id, parsed.token);
        forget_token(l);
    }
    ddp_connector_close(l->link);
}

void session_late_abort(struct session_table *t)
{
    for (struct session_login *l = t->late; l != NULL; l = l->next)
        ddp_connector_close(l->link);
}
