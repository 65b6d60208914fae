/* Why does this user get no messages: the first thing wrong with the session, from the login on. */
#include "bridge/login/login_hint.h"
#include "bridge/session/user_session_internal.h"
#include <inttypes.h>
#include <stdio.h>

/* How a DDP connection's end is called (session_link.c). */
static bool is_connection_trouble(const char *code)
{
    static const char *const codes[] = {"unreachable",     "timed-out", "ddp-version", "silent",
                                        "connection-lost", "malformed", "closed",      "streamer"};

    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (strcmp(code, codes[i]) == 0)
            return true;
    return false;
}

/* "(code): hint. Tried again in 12 s." Due already: the timer is about to go off. */
static void put_cause(const struct user_session *s, struct session_why *why, const char *what)
{
    const char *hint = login_hint(s->code);
    const uint64_t now = session_now_ms(s->table);
    char next[64] = "Not tried again before the session starts anew.";

    if (s->step_at_ms != 0)
        snprintf(next, sizeof next, "Tried again in %" PRIu64 " s.",
                 s->step_at_ms > now ? (s->step_at_ms - now + 999) / 1000 : 0);
    snprintf(why->text, sizeof why->text, "%s (%s)%s%s. %s", what, s->code,
             hint == NULL ? "" : ": ", hint == NULL ? "" : hint, next);
}

static void why_paused(const struct user_session *s, struct session_why *why)
{
    const bool connection = is_connection_trouble(s->code);

    if (s->failed_in == SESSION_LOGGING_IN) {
        why->code = "login-paused";
        put_cause(s, why, "The login at Rocket.Chat failed");
    } else if (connection) {
        why->code = "ddp-down";
        put_cause(s, why, "The Rocket.Chat connection (DDP) is down");
    } else if (s->failed_in == SESSION_AUTHENTICATING) {
        why->code = "login-paused";
        put_cause(s, why, "Rocket.Chat did not take the login on the DDP connection");
    } else {
        char what[96];

        why->code = "subscription-refused";
        snprintf(what, sizeof what, "Rocket.Chat refused or ended the subscription %s",
                 s->failed_sub == SESSION_NSUBS
                     ? "of the user's events"
                     : session_sub_event((enum session_sub)s->failed_sub));
        put_cause(s, why, what);
    }
}

static void why_starting(const struct user_session *s, struct session_why *why)
{
    why->code = "starting";
    switch ((enum session_state)s->state) {
    case SESSION_LOGGING_IN:
        why->code = "login-running";
        if (s->login == NULL && s->token == NULL)
            snprintf(why->text, sizeof why->text, "A token of an earlier login is looked for.");
        else
            snprintf(why->text, sizeof why->text, "The login at Rocket.Chat is under way: %s.",
                     session_login_state(s));
        break;
    case SESSION_SUBSCRIBING:
        why->code = "subscribing";
        snprintf(why->text, sizeof why->text,
                 "Rocket.Chat has not confirmed every subscription yet.");
        for (int i = 0; i < SESSION_NSUBS; i++)
            if (s->subs[i] == SUB_WAITING)
                snprintf(why->text, sizeof why->text,
                         "Rocket.Chat's rate limit holds the subscription %s back.",
                         session_sub_event((enum session_sub)i));
        break;
    case SESSION_CONNECTING:
        snprintf(why->text, sizeof why->text, "The Rocket.Chat connection (DDP) is being opened.");
        break;
    case SESSION_AUTHENTICATING:
        snprintf(why->text, sizeof why->text,
                 "The login on the Rocket.Chat connection (DDP) is under way.");
        break;
    default:
        snprintf(why->text, sizeof why->text, "The session is ending, or about to start again.");
        break;
    }
}

static void why_live(const struct user_session *s, struct session_why *why)
{
    const uint64_t now = session_now_ms(s->table);

    if (!s->looked_again) {
        why->code = "lists-missing";
        snprintf(why->text, sizeof why->text,
                 s->list_tries == 0
                     ? "The list of the user's rooms has not come from Rocket.Chat yet."
                     : "Rocket.Chat does not give the list of the user's rooms; messages come, but "
                       "what its events leave out is not noticed.");
    } else if (s->subs[SESSION_SUB_EPHEMERAL] == SUB_REFUSED) {
        why->code = "ephemeral-refused";
        snprintf(why->text, sizeof why->text,
                 "Messages come; only private notices don't: Rocket.Chat refused that "
                 "subscription.");
    } else if (s->last_event_in_ms == 0) {
        snprintf(why->text, sizeof why->text,
                 "Nothing is wrong: live for %" PRIu64 " s, and Rocket.Chat has sent nothing yet.",
                 (now - s->live_since_ms) / 1000);
    } else {
        char sent[64] = "none was sent on yet";

        if (s->last_event_out_ms != 0)
            snprintf(sent, sizeof sent, "the last one was sent on %" PRIu64 " s ago",
                     (now - s->last_event_out_ms) / 1000);
        snprintf(why->text, sizeof why->text,
                 "Nothing is wrong: the last event came %" PRIu64 " s ago, %s.",
                 (now - s->last_event_in_ms) / 1000, sent);
    }
}

void session_why(const struct user_session *s, struct session_why *why)
{
    *why = (struct session_why){.code = "ok"};
    if (s->state == SESSION_REFUSED) {
        why->code = "login-refused";
        put_cause(s, why, "The user's session is refused");
    } else if (s->connections == 0) {
        why->code = "no-connection";
        snprintf(
            why->text, sizeof why->text,
            "No tab of this user is connected; the session outlives the last one for a while.");
    } else if (s->state == SESSION_BACKOFF) {
        why_paused(s, why);
    } else if (s->state == SESSION_IDLE && s->yielded) {
        why->code = "owned-elsewhere";
        snprintf(why->text, sizeof why->text,
                 "Another instance has taken this user's session over.");
    } else if (s->state == SESSION_LIVE) {
        why_live(s, why);
    } else {
        why_starting(s, why);
    }
}
