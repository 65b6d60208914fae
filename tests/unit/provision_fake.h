/* tests/unit/provision_fake.h - a fake of bridge/provisioning/provisioner.h, as ddp_fake.h is one
 * of the connector. */
#ifndef TESTS_UNIT_PROVISION_FAKE_H
#define TESTS_UNIT_PROVISION_FAKE_H

#include "bridge/provisioning/provisioner.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct provision {
    provision_fn ensured;
    provision_login_fn logged_in;
    void *arg;
    char username[64], profile[64];
    bool answered, cancelled;
};

/* In a test that provisions: options.provisioner of the table. */
struct provisioner {
    bool creates, logs_in, busy;
    struct provision *ops[16];
    unsigned nops, follows;
    char followed[64]; /* the last profile */
};
static struct provisioner provisioner;

bool provisioner_creates(const struct provisioner *p)
{
    return p->creates;
}

bool provisioner_is_busy(const struct provisioner *p)
{
    return p->busy;
}

bool provisioner_logs_in(const struct provisioner *p)
{
    return p->logs_in;
}

static inline struct provision *provision_record(struct provisioner *p,
                                                 const struct provision_user *user, void *arg)
{
    struct provision *op = calloc(1, sizeof *op);

    assert_true(p->nops < 16);
    p->ops[p->nops++] = op;
    op->arg = arg;
    snprintf(op->username, sizeof op->username, "%.*s", (int)user->username.len,
             user->username.ptr);
    if (user->profile.len > 0)
        snprintf(op->profile, sizeof op->profile, "%.*s", (int)user->profile.len,
                 user->profile.ptr);
    return op;
}

struct provision *provisioner_ensure(struct provisioner *p, const struct provision_user *user,
                                     provision_fn fn, void *arg)
{
    struct provision *op = provision_record(p, user, arg);

    op->ensured = fn;
    return op;
}

struct provision *provisioner_login(struct provisioner *p, const struct provision_user *user,
                                    provision_login_fn fn, void *arg)
{
    struct provision *op = provision_record(p, user, arg);

    op->logged_in = fn;
    return op;
}

void provision_cancel(struct provision *op)
{
    op->cancelled = true;
}

void provisioner_follow(struct provisioner *p, const struct provision_user *user)
{
    p->follows++;
    snprintf(p->followed, sizeof p->followed, "%.*s", (int)user->profile.len, user->profile.ptr);
}

/* The last operation that waits; NULL: none. */
static inline struct provision *provision_pending(void)
{
    for (unsigned i = provisioner.nops; i-- > 0;)
        if (!provisioner.ops[i]->answered)
            return provisioner.ops[i];
    return NULL;
}

static inline void provision_answer(struct provision *op, enum provision_result result,
                                    const struct rest_login *login, const struct rc_error *error)
{
    assert_false(op->answered);
    op->answered = true;
    if (op->ensured != NULL)
        op->ensured(op->arg, result, error);
    else
        op->logged_in(op->arg, login, error);
}

static inline void provision_fail(struct provision *op, enum rc_result result, const char *code)
{
    struct rc_error error = {.result = result};

    snprintf(error.code, sizeof error.code, "%s", code);
    provision_answer(op, PROVISION_FAILED, NULL, &error);
}

static inline void provision_answer_cancelled(void)
{
    for (unsigned i = 0; i < provisioner.nops; i++)
        if (provisioner.ops[i]->cancelled && !provisioner.ops[i]->answered)
            provision_fail(provisioner.ops[i], RC_CANCELLED, "cancelled");
}

static inline void provision_free_all(void)
{
    for (unsigned i = 0; i < provisioner.nops; i++) {
        assert_true(provisioner.ops[i]->answered);
        free(provisioner.ops[i]);
    }
    memset(&provisioner, 0, sizeof provisioner);
}

#endif
