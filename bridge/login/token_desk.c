#include "bridge/login/token_desk.h"

#include "bridge/program.h"
#include "bridge/shard.h"
#include <stdlib.h>

struct token_request {
    struct shard *shard;
    session_loan_fn fn; /* NULL: abandoned */
    void *arg;
};

enum token_question { ASK_USER, ASK_ADMIN, ASK_HANDED, END_HANDED };

/* Goes to the token's shard with the question, and comes back with the answer. */
struct token_mail {
    struct mail mail;
    struct token_request *request; /* touched on the asking shard alone */
    struct shard *at;              /* where it is asked */
    unsigned from;
    enum token_question what;
    unsigned limit_ms;
    bool check, lent;
    const char *not_for;     /* struct session_who's refused: static text */
    struct rc_error error;   /* of the answer; result RC_OK: the loan is in text */
    size_t len[4], text_len; /* the question: key, user name, refused token, profile; then the
                                answer: user id, token, user name */
    char *text;              /* one behind the other; wiped */
};

static void text_free(struct token_mail *m)
{
    if (m->text != NULL)
        explicit_bzero(m->text, m->text_len);
    free(m->text);
    m->text = NULL;
}

static void mail_free(struct mail *mail)
{
    struct token_mail *m = (struct token_mail *)mail;

    text_free(m);
    free(m);
}

/* In the place of what was there. False: no memory. */
static bool put_text(struct token_mail *m, struct slice a, struct slice b, struct slice c,
                     struct slice d)
{
    const struct slice parts[4] = {a, b, c, d};
    size_t len = a.len + b.len + c.len + d.len;
    char *text = malloc(len + 1), *at = text;

    if (text == NULL)
        return false;
    for (int i = 0; i < 4; i++) {
        if (parts[i].len > 0)
            memcpy(at, parts[i].ptr, parts[i].len);
        at += parts[i].len;
        m->len[i] = parts[i].len;
    }
    text_free(m);
    m->text = text;
    m->text_len = len;
    return true;
}

static void get_text(const struct token_mail *m, struct slice out[4])
{
    const char *at = m->text;

    for (int i = 0; i < 4; i++) {
        out[i] = (struct slice){at, m->len[i]};
        at += m->len[i];
    }
}

/* ---- the asking shard ---- */

static void answer_deliver(struct mail *mail, void *consumer)
{
    struct token_mail *m = (struct token_mail *)mail;
    struct token_request *r = m->request;
    struct slice parts[4];
    struct session_loan loan;

    (void)consumer;
    r->shard->token_requests--;
    get_text(m, parts);
    loan = (struct session_loan){parts[0], parts[1], parts[2]};
    if (r->fn != NULL)
        r->fn(r->arg, m->lent ? &loan : NULL, m->error.result == RC_OK ? NULL : &m->error);
    free(r);
    mail_free(mail);
}

/* ---- the token's shard ---- */

static void on_loan(void *arg, const struct session_loan *loan, const struct rc_error *error)
{
    struct token_mail *m = arg;

    if (error != NULL)
        m->error = *error;
    else if (loan != NULL)
        m->lent = put_text(m, loan->user_id, loan->auth_token, loan->username, (struct slice){0});
    if (loan != NULL && !m->lent)
        rc_error_of(&m->error, RC_NOMEM);
    m->mail.deliver = answer_deliver;
    shard_post(m->at, m->from, &m->mail);
}

static void question_deliver(struct mail *mail, void *consumer)
{
    struct token_mail *m = (struct token_mail *)mail;
    struct shard *s = consumer;
    struct slice parts[4];
    struct session_ask ask;

    m->at = s;
    get_text(m, parts);
    ask = (struct session_ask){
        .who = {.key = parts[0], .username = parts[1], .refused = m->not_for, .profile = parts[3]},
        .refused = parts[2],
        .check = m->check,
        .limit_ms = m->limit_ms,
    };
    switch (m->what) {
    case ASK_ADMIN:
        login_desk_lend_admin(s->program->desk, parts[2], on_loan, m);
        break;
    case ASK_USER:
        session_table_lend(s->sessions, &ask, on_loan, m);
        break;
    case ASK_HANDED:
        session_table_lend(s->handed, &ask, on_loan, m);
        break;
    case END_HANDED:
        session_table_revoke(s->handed, parts[0], SESSION_LOGGED_OUT);
        on_loan(m, NULL, NULL);
        break;
    }
}

/* ---- asking ---- */

static struct token_request *post(struct shard *s, unsigned to, enum token_question what,
                                  const struct session_ask *ask, session_loan_fn fn, void *arg)
{
    const unsigned most = s->program->settings->limits.token_requests;
    struct token_request *r = calloc(1, sizeof *r);
    struct token_mail *m = calloc(1, sizeof *m);

    if (r == NULL || m == NULL || s->token_requests >= most ||
        !put_text(m, ask->who.key, ask->who.username, ask->refused, ask->who.profile)) {
        free(r);
        free(m);
        return NULL;
    }
    r->shard = s;
    r->fn = fn;
    r->arg = arg;
    m->mail = (struct mail){.deliver = question_deliver, .discard = mail_free, .control = true};
    m->request = r;
    m->from = s->index;
    m->what = what;
    m->limit_ms = ask->limit_ms;
    m->check = ask->check;
    m->not_for = ask->who.refused;
    s->token_requests++;
    shard_post(s, to, &m->mail);
    return r;
}

struct token_request *token_desk_ask(struct shard *s, const struct session_ask *ask,
                                     session_loan_fn fn, void *arg)
{
    return post(s, shard_of_user(s->program, ask->who.key), ASK_USER, ask, fn, arg);
}

struct token_request *token_desk_ask_handed(struct shard *s, const struct session_ask *ask,
                                            session_loan_fn fn, void *arg)
{
    return post(s, shard_of_user(s->program, ask->who.key), ASK_HANDED, ask, fn, arg);
}

struct token_request *token_desk_end_handed(struct shard *s, struct slice key, session_loan_fn fn,
                                            void *arg)
{
    const struct session_ask ask = {.who = {.key = key}};

    return post(s, shard_of_user(s->program, key), END_HANDED, &ask, fn, arg);
}

struct token_request *token_desk_ask_admin(struct shard *s, struct slice refused,
                                           session_loan_fn fn, void *arg)
{
    const struct session_ask ask = {.refused = refused};

    return post(s, 0, ASK_ADMIN, &ask, fn, arg);
}

void token_request_abandon(struct token_request *r)
{
    r->fn = NULL;
}
