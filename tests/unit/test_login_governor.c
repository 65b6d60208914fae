#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bridge/login/login_governor.h"
#include "bridge/login/login_pace.h"
#include <stdio.h>
#include <stdlib.h>

enum { SECOND = 1000, MINUTE = 60 * SECOND };

static struct login_governor *g;
static uint64_t now;

static const struct login_governor_options defaults = {
    .via = LOGIN_VIA_AUTO,
    .rest_calls = 10,
    .rest_window_ms = MINUTE,
    .ddp_per_second = 5,
    .max_running = 100,
    .max_queued = 1000,
    .max_refused_users = 50,
};

static void open_with(struct login_governor_options options)
{
    login_governor_free(g);
    g = login_governor_new(&options);
    assert_non_null(g);
}

static int setup(void **state)
{
    (void)state;
    now = 777 * MINUTE;
    open_with(defaults);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    login_governor_free(g);
    g = NULL;
    return 0;
}

/* "u": somebody else each time. */
static struct slice user_of(const char *name)
{
    static char one[16];
    static unsigned n;

    if (strcmp(name, "u") != 0)
        return slice_of(name);
    snprintf(one, sizeof one, "u%u", ++n);
    return slice_of(one);
}

static enum login_request_result request(const char *user, struct login_ticket *t)
{
    return login_governor_request(g, now, user_of(user), t);
}

/* How a login ended, in one piece. */
struct outcome {
    enum rc_result result;
    uint64_t retry_after_ms;
    struct rest_rate rate;
};

static void done_with(struct login_ticket *t, const char *user, const struct outcome *o)
{
    struct rc_error error = {.result = o->result, .retry_after_ms = o->retry_after_ms};

    login_governor_done(g, now, t, user_of(user), o->result == RC_OK ? NULL : &error, &o->rate);
}

static void done(struct login_ticket *t, const char *user, enum rc_result result)
{
    struct rc_error error = {.result = result};

    login_governor_done(g, now, t, user_of(user), result == RC_OK ? NULL : &error, NULL);
}

static struct login_ticket *next(void)
{
    return login_governor_next(g, now);
}

/* A request, granted at once, with that end. */
static void login(const char *user, enum rc_result result)
{
    struct login_ticket t = {0};

    assert_int_equal(request(user, &t), LOGIN_REQUEST_QUEUED);
    assert_ptr_equal(next(), &t);
    done(&t, user, result);
}

static uint64_t refused_for(const char *user)
{
    uint64_t until = login_governor_refused_until(g, now, slice_of(user), NULL);

    return until == 0 ? 0 : until - now;
}

static void test_first_come_first_served(void **state)
{
    struct login_ticket t[5] = {0};

    (void)state;
    assert_null(next());
    assert_true(login_governor_wakeup_ms(g, now) == UINT64_MAX);
    for (int i = 0; i < 5; i++)
        assert_int_equal(request("u", &t[i]), LOGIN_REQUEST_QUEUED);
    assert_true(login_governor_wakeup_ms(g, now) == now);
    login_governor_cancel(g, &t[1]);
    login_governor_cancel(g, &t[1]);
    assert_ptr_equal(next(), &t[0]);
    assert_ptr_equal(next(), &t[2]);
    assert_int_equal(request("u", &t[1]), LOGIN_REQUEST_QUEUED);
    assert_ptr_equal(next(), &t[3]);
    assert_ptr_equal(next(), &t[4]);
    assert_ptr_equal(next(), &t[1]);
    assert_null(next());
    assert_int_equal(login_governor_stats(g)->running, 5);
    assert_int_equal(login_governor_stats(g)->queued, 0);
    login_governor_cancel(g, &t[0]);
    done(&t[2], "u", RC_CANCELLED);
    assert_int_equal(login_governor_stats(g)->running, 3);
    assert_int_equal(login_governor_stats(g)->cancelled, 3);
}

static void test_queue_is_bounded(void **state)
{
    struct login_governor_options o = defaults;
    struct login_ticket t[4] = {0};

    (void)state;
    o.max_queued = 2;
    o.max_running = 1;
    open_with(o);
    assert_int_equal(request("a", &t[0]), LOGIN_REQUEST_QUEUED);
    assert_ptr_equal(next(), &t[0]);
    assert_int_equal(request("b", &t[1]), LOGIN_REQUEST_QUEUED);
    assert_int_equal(request("c", &t[2]), LOGIN_REQUEST_QUEUED);
    assert_int_equal(request("d", &t[3]), LOGIN_REQUEST_FULL);
    assert_int_equal(login_governor_stats(g)->turned_away_full, 1);
    /* As many as may run do run: only an end makes room, so no timer is due. */
    assert_null(next());
    assert_true(login_governor_wakeup_ms(g, now) == UINT64_MAX);
    done(&t[0], "a", RC_OK);
    assert_true(login_governor_wakeup_ms(g, now) == now);
    assert_ptr_equal(next(), &t[1]);
    assert_int_equal(request("d", &t[3]), LOGIN_REQUEST_QUEUED);
    login_governor_cancel(g, &t[2]);
    login_governor_cancel(g, &t[3]);
}

static void test_one_goes_ahead_of_all(void **state)
{
    struct login_governor_options o = defaults;
    struct login_ticket t[3] = {0}, first = {.ahead = true};

    (void)state;
    o.max_queued = 1;
    o.max_running = 1;
    open_with(o);
    request("a", &t[0]);
    assert_ptr_equal(next(), &t[0]);
    request("b", &t[1]);
    assert_int_equal(request("admin", &first), LOGIN_REQUEST_QUEUED);
    assert_true(login_governor_wakeup_ms(g, now) == now);
    assert_ptr_equal(next(), &first);
    assert_null(next());
    done(&t[0], "a", RC_OK);
    assert_null(next()); /* it counts among those that run */
    done(&first, "admin", RC_OK);
    assert_ptr_equal(next(), &t[1]);
    done(&t[1], "b", RC_OK);
}

static void test_auto_takes_rest_then_ddp(void **state)
{
    struct login_ticket t[40] = {0};
    unsigned rest = 0, ddp = 0;

    (void)state;
    for (int i = 0; i < 40; i++)
        request("u", &t[i]);
    while (next() != NULL)
        ;
    for (int i = 0; i < 40; i++)
        if (t[i].state == LOGIN_TICKET_RUNNING)
            t[i].road == LOGIN_ROAD_REST ? rest++ : ddp++;
    assert_int_equal(rest, 10);
    assert_int_equal(ddp, 1);
    for (int i = 0; i < 9; i++) { /* five a second, evenly, 50 ms early at most */
        assert_true(login_governor_wakeup_ms(g, now) == now + (i == 0 ? 150 : 200));
        now = login_governor_wakeup_ms(g, now) - 1;
        assert_null(next());
        now++;
        assert_int_equal(next()->road, LOGIN_ROAD_DDP);
        assert_null(next());
    }
    now += MINUTE; /* the REST window has room again, and is preferred */
    assert_int_equal(next()->road, LOGIN_ROAD_REST);
    assert_int_equal(login_governor_stats(g)->granted_rest, 11);
    assert_int_equal(login_governor_stats(g)->granted_ddp, 10);
    for (int i = 0; i < 40; i++)
        login_governor_cancel(g, &t[i]);
}

static void test_one_road_only(void **state)
{
    struct login_governor_options o = defaults;
    struct login_ticket t[40] = {0};

    (void)state;
    o.via = LOGIN_VIA_REST;
    open_with(o);
    for (int i = 0; i < 40; i++)
        request("u", &t[i]);
    for (int i = 0; i < 10; i++)
        assert_int_equal(next()->road, LOGIN_ROAD_REST);
    assert_null(next());
    assert_true(login_governor_wakeup_ms(g, now) == now + MINUTE);
    /* Found out on the way: passwords are not taken by REST. */
    login_governor_use(g, LOGIN_VIA_DDP);
    assert_int_equal(next()->road, LOGIN_ROAD_DDP);
    assert_null(next());

    o.via = LOGIN_VIA_DDP;
    o.ddp_per_second = 0;
    memset(t, 0, sizeof t);
    open_with(o);
    for (int i = 0; i < 40; i++)
        request("u", &t[i]);
    for (int i = 0; i < 40; i++)
        assert_int_equal(next()->road, LOGIN_ROAD_DDP);
}

/* No window of 60 s, wherever it begins, sees more than 10, whatever the pattern of requests. */
static void test_untold_window_is_safe_for_any_window(void **state)
{
    enum { N = 400 };
    struct login_governor_options o = defaults;
    static uint64_t at[N];
    uint32_t seed = 7;

    (void)state;
    o.via = LOGIN_VIA_REST;
    open_with(o);
    for (int i = 0; i < N; i++) {
        struct login_ticket t = {0};

        seed = seed * 1664525u + 1013904223u;
        now += seed >> 28 == 0 ? (seed >> 8) % (2 * MINUTE) : (seed >> 8) % 500;
        request("u", &t);
        if (login_governor_wakeup_ms(g, now) > now) {
            assert_null(next());
            now = login_governor_wakeup_ms(g, now);
        }
        assert_ptr_equal(next(), &t);
        at[i] = now;
        done(&t, "u", RC_OK);
        if (i >= 10)
            assert_true(at[i] - at[i - 10] >= MINUTE);
    }
}

/* Against a server that counts in fixed windows which begin lazily, as Rocket.Chat's do, with other
 * callers on our address and answers that come late and out of order: once it has told its window,
 * it never has to refuse us on our own account. */
static void test_told_window_against_a_server(void **state)
{
    enum { FLIGHT = 6 };
    struct login_governor_options o = defaults;
    struct login_ticket t[FLIGHT] = {0};
    struct outcome answers[FLIGHT] = {0};
    uint64_t window_ends = 0, granted = 0, start = now;
    uint32_t used = 0, limit = 30, seed = 99, refused = 0;

    (void)state;
    o.via = LOGIN_VIA_REST;
    o.max_running = FLIGHT;
    open_with(o);
    while (now < start + 60 * (uint64_t)MINUTE) {
        struct login_ticket *grant;
        uint64_t wakeup;
        unsigned i;

        seed = seed * 1664525u + 1013904223u;
        i = (seed >> 10) % FLIGHT;
        if (t[i].state == LOGIN_TICKET_RUNNING) {
            /* The server told its reset at the call; it comes with the answer, as time from now. */
            struct outcome late = answers[i];

            late.rate.reset_in_ms = late.rate.reset_in_ms > now ? late.rate.reset_in_ms - now : 0;
            done_with(&t[i], "u", &late);
        }
        if (t[i].state == LOGIN_TICKET_IDLE)
            request("u", &t[i]);
        while ((grant = next()) != NULL) {
            struct outcome *a = &answers[grant - t];

            if (now >= window_ends) {
                window_ends = now + MINUTE;
                used = 0;
            }
            granted++;
            if (used >= limit) {
                refused++;
                *a = (struct outcome){.result = RC_RATE_LIMITED,
                                      .rate.known = true,
                                      .rate.limit = limit,
                                      .rate.reset_in_ms = window_ends};
            } else {
                used++;
                *a = (struct outcome){.result = RC_OK,
                                      .rate.known = true,
                                      .rate.limit = limit,
                                      .rate.remaining = limit - used,
                                      .rate.reset_in_ms = window_ends};
            }
        }
        wakeup = login_governor_wakeup_ms(g, now);
        assert_true(wakeup > now);
        now += (seed >> 4) % 700;
    }
    assert_int_equal(refused, 0);
    /* And it is put to use: well over the default's 10 a minute. */
    assert_true(granted > 60 * 24);
}

static void test_rate_limited(void **state)
{
    struct login_governor_options o = defaults;
    struct login_ticket t[3] = {0};
    struct outcome outcome = {.result = RC_RATE_LIMITED, .retry_after_ms = 17 * SECOND};

    (void)state;
    request("a", &t[0]);
    request("b", &t[1]);
    next();
    assert_int_equal(t[0].road, LOGIN_ROAD_REST);
    done_with(&t[0], "a", &outcome);
    next(); /* REST is shut, DDP is not */
    assert_int_equal(t[1].road, LOGIN_ROAD_DDP);
    outcome.retry_after_ms = 5 * SECOND;
    done_with(&t[1], "b", &outcome);
    request("c", &t[2]);
    assert_null(next());
    assert_true(login_governor_wakeup_ms(g, now) == now + 5 * SECOND);
    now += 5 * SECOND;
    next();
    assert_int_equal(t[2].road, LOGIN_ROAD_DDP);
    login_governor_cancel(g, &t[2]);
    now += 12 * SECOND;
    request("c", &t[2]);
    next();
    assert_int_equal(t[2].road, LOGIN_ROAD_REST);
    assert_int_equal(login_governor_stats(g)->rate_limited, 2);
    assert_int_equal(refused_for("a"), 0);

    /* Not told how long; told by headers; told absurdly. */
    static const struct {
        uint64_t retry_after_ms, reset_in_ms, wait;
    } cases[] = {
        {0, 0, MINUTE},
        {0, 9 * SECOND, 9 * SECOND},
        {UINT64_MAX, 0, 10 * MINUTE},
        {0, UINT64_MAX, 10 * MINUTE},
    };
    o.via = LOGIN_VIA_REST;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct login_ticket again = {0};

        open_with(o);
        request("a", &again);
        next();
        outcome = (struct outcome){.result = RC_RATE_LIMITED,
                                   .retry_after_ms = cases[i].retry_after_ms,
                                   .rate.known = cases[i].reset_in_ms > 0,
                                   .rate.limit = 10,
                                   .rate.reset_in_ms = cases[i].reset_in_ms};
        done_with(&again, "a", &outcome);
        request("a", &again);
        assert_null(next());
        assert_true(login_governor_wakeup_ms(g, now) == now + cases[i].wait);
    }
}

static void test_odd_headers(void **state)
{
    struct login_governor_options o = defaults;
    struct login_ticket t = {0};
    struct outcome outcome = {.result = RC_OK, .rate.known = true};

    (void)state;
    o.via = LOGIN_VIA_REST;
    open_with(o);
    /* A window that is over already tells nothing; a limit of nothing is slow, never stuck. */
    for (int i = 0; i < 8; i++) {
        outcome.rate.reset_in_ms = i < 5 ? 0 : 20 * SECOND;
        request("u", &t);
        now = login_governor_wakeup_ms(g, now);
        assert_ptr_equal(next(), &t);
        done_with(&t, "u", &outcome);
    }
    /* More remaining than the limit. */
    outcome.rate.limit = 2;
    outcome.rate.remaining = UINT32_MAX;
    outcome.rate.reset_in_ms = MINUTE;
    request("u", &t);
    now = login_governor_wakeup_ms(g, now);
    next();
    done_with(&t, "u", &outcome);
    outcome.rate.known = false;
    for (int i = 0; i < 2; i++) {
        request("u", &t);
        assert_ptr_equal(next(), &t);
        done_with(&t, "u", &outcome);
    }
    request("u", &t);
    assert_null(next());
}

/* Calls still under way when the window turns may fall into the new one, and their late answers
 * tell of the old one. */
static void test_window_turns_under_way(void **state)
{
    struct login_governor_options o = defaults;
    struct login_ticket t[30] = {0};
    struct outcome told = {
        .rate.known = true, .rate.limit = 10, .rate.remaining = 9, .rate.reset_in_ms = MINUTE};

    (void)state;
    o.via = LOGIN_VIA_REST;
    open_with(o);
    for (int i = 0; i < 30; i++)
        request("u", &t[i]);
    next();
    done_with(&t[0], "u", &told);
    for (int i = 1; i < 4; i++)
        assert_ptr_equal(next(), &t[i]);
    now += MINUTE;
    for (int i = 4; i < 11; i++)
        assert_ptr_equal(next(), &t[i]);
    assert_null(next());
    told.rate.remaining = 6;
    told.rate.reset_in_ms = 0;
    done_with(&t[1], "u", &told);
    assert_null(next());
    assert_true(login_governor_wakeup_ms(g, now) == now + MINUTE);
}

/* An answer that counts logins which are still under way makes the room look smaller than it is,
 * until those have been answered too. */
static void test_all_of_a_window_is_used(void **state)
{
    struct login_governor_options o = defaults;
    struct login_ticket t[12] = {0};
    struct outcome told = {.rate.known = true, .rate.limit = 10, .rate.reset_in_ms = MINUTE};

    (void)state;
    o.via = LOGIN_VIA_REST;
    o.max_running = 8;
    open_with(o);
    for (int i = 0; i < 12; i++)
        request("u", &t[i]);
    for (int i = 0; i < 8; i++)
        assert_ptr_equal(next(), &t[i]);
    told.rate.remaining = 2; /* of all eight the last one counted is answered first */
    done_with(&t[7], "u", &told);
    assert_null(next()); /* the other seven may yet be counted, for all we know */
    for (uint32_t i = 0; i < 7; i++) {
        told.rate.remaining = 9 - i; /* older words */
        done_with(&t[i], "u", &told);
    }
    assert_ptr_equal(next(), &t[8]);
    assert_ptr_equal(next(), &t[9]);
    assert_null(next());
}

static void test_refusals_are_remembered(void **state)
{
    static const uint64_t waits[] = {1, 2, 4, 8, 16, 30, 30};
    struct login_ticket t = {0};
    enum rc_result why = RC_OK;

    (void)state;
    assert_int_equal(refused_for("mallory"), 0);
    for (size_t i = 0; i < sizeof waits / sizeof waits[0]; i++) {
        login("mallory", RC_UNAUTHORIZED);
        assert_int_equal(refused_for("mallory"), waits[i] * MINUTE);
        assert_int_equal(request("mallory", &t), LOGIN_REQUEST_REFUSED);
        assert_int_equal(t.state, LOGIN_TICKET_IDLE);
        assert_int_equal(refused_for("mallory2"), 0);
        assert_int_equal(refused_for("mallor"), 0);
        now += waits[i] * MINUTE - 1;
        assert_int_equal(request("mallory", &t), LOGIN_REQUEST_REFUSED);
        now++;
        assert_int_equal(refused_for("mallory"), 0);
    }
    login("mallory", RC_DEACTIVATED);
    assert_true(login_governor_refused_until(g, now, SLICE_LIT("mallory"), &why) > 0);
    assert_int_equal(why, RC_DEACTIVATED);
    now += 30 * MINUTE;
    login("mallory", RC_OK); /* forgiven */
    login("mallory", RC_TWO_FACTOR);
    assert_int_equal(refused_for("mallory"), MINUTE);
    assert_int_equal(login_governor_stats(g)->turned_away_refused, 14);
}

static void test_what_is_a_refusal(void **state)
{
    (void)state;
    for (int r = RC_OK; r < RC_NRESULTS; r++) {
        struct login_ticket t = {0};
        bool refusal = r == RC_UNAUTHORIZED || r == RC_TWO_FACTOR || r == RC_DEACTIVATED ||
                       r == RC_REFUSED || r == RC_BLOCKED_USER;

        open_with(defaults);
        login("oscar", (enum rc_result)r);
        assert_int_equal(login_governor_stats(g)->refused, refusal);
        if (!refusal)
            assert_int_equal(refused_for("oscar"), 0);
        else
            assert_int_equal(refused_for("oscar"), r == RC_BLOCKED_USER ? 5 * MINUTE : MINUTE);
        /* A 403 on one road is not tried on the other. */
        assert_int_equal(request("oscar", &t),
                         refusal ? LOGIN_REQUEST_REFUSED : LOGIN_REQUEST_QUEUED);
        login_governor_cancel(g, &t);
    }
}

static void test_refusal_table_is_bounded(void **state)
{
    struct login_governor_options o = defaults;
    char user[16];

    (void)state;
    o.max_refused_users = 3;
    o.via = LOGIN_VIA_DDP;
    o.ddp_per_second = 0;
    open_with(o);
    login("a", RC_REFUSED);
    login("b", RC_REFUSED);
    login("c", RC_REFUSED);
    now += MINUTE;
    login("a", RC_REFUSED); /* a is the newest now */
    login("d", RC_REFUSED);
    assert_int_equal(refused_for("a"), 2 * MINUTE);
    assert_int_equal(refused_for("d"), MINUTE);
    now += MINUTE;
    login("b", RC_REFUSED);
    assert_int_equal(refused_for("b"), MINUTE); /* it was forgotten: not two */
    for (int i = 0; i < 1000; i++) {
        now += MINUTE;
        snprintf(user, sizeof user, "u%d", i);
        login(user, RC_REFUSED);
    }
    assert_int_equal(refused_for("u999"), MINUTE);
    assert_int_equal(refused_for("a"), 0);
}

static void test_blocked_address_pauses_all(void **state)
{
    static const uint64_t waits[] = {5, 10, 20, 30, 30};
    struct login_ticket t = {0}, running = {0};
    uint64_t until;

    (void)state;
    for (size_t i = 0; i < sizeof waits / sizeof waits[0]; i++) {
        request("b", &running);
        next();
        login("a", RC_BLOCKED_IP);
        done(&running, "b", RC_BLOCKED_IP); /* was under way: does not double it */
        assert_int_equal(login_governor_pause(g, now, &until), LOGIN_PAUSE_BLOCKED_IP);
        assert_true(until == now + waits[i] * MINUTE);
        assert_int_equal(refused_for("a"), 0); /* not the user's fault */
        assert_int_equal(request("c", &t), LOGIN_REQUEST_QUEUED);
        assert_null(next());
        assert_true(login_governor_wakeup_ms(g, now) == until);
        now = until - 1;
        assert_null(next());
        now = until;
        assert_int_equal(login_governor_pause(g, now, NULL), LOGIN_PAUSE_NONE);
        assert_ptr_equal(next(), &t);
        login_governor_cancel(g, &t);
    }
    login("a", RC_OK);
    login("a", RC_BLOCKED_IP);
    assert_int_equal(login_governor_pause(g, now, &until), LOGIN_PAUSE_BLOCKED_IP);
    assert_true(until == now + 5 * MINUTE);
    assert_int_equal(login_governor_stats(g)->pauses, 6);
}

static void refuse(unsigned from, unsigned count, uint64_t step_ms)
{
    char user[16];

    for (unsigned i = from; i < from + count; i++) {
        now += step_ms;
        snprintf(user, sizeof user, "u%u", i);
        login(user, RC_UNAUTHORIZED);
    }
}

static void test_many_refusals_pause_all(void **state)
{
    struct login_governor_options o = defaults;
    struct login_ticket t = {0};

    (void)state;
    o.max_refused_users = 1000;
    o.ddp_per_second = 0;
    open_with(o);
    refuse(0, 19, 15 * SECOND);
    assert_int_equal(login_governor_pause(g, now, NULL), LOGIN_PAUSE_NONE);
    login("good", RC_OK);
    refuse(19, 1, 14 * SECOND);
    assert_int_equal(login_governor_pause(g, now, NULL), LOGIN_PAUSE_REFUSALS);
    request("good", &t);
    assert_null(next());
    now += 5 * MINUTE;
    assert_ptr_equal(next(), &t);
    login_governor_cancel(g, &t);
    /* Counted anew after a pause; and spread wider than 20 in 5 minutes it never comes. */
    refuse(100, 19, 100);
    assert_int_equal(login_governor_pause(g, now, NULL), LOGIN_PAUSE_NONE);
    now += 10 * MINUTE;
    refuse(200, 60, 16 * SECOND);
    assert_int_equal(login_governor_pause(g, now, NULL), LOGIN_PAUSE_NONE);
    assert_int_equal(login_governor_stats(g)->pauses, 1);
    assert_int_equal(login_governor_stats(g)->refused, 99);
}

/* Who needs one login after the other waits longer and longer, and nobody else does. */
static void test_successes_are_paced(void **state)
{
    static const unsigned waits_s[] = {5, 10, 20, 40, 80, 160, 300, 300};
    struct login_ticket t = {0};
    uint64_t until;

    (void)state;
    for (int i = 0; i < LOGIN_PACE_FREE; i++) {
        login("mallory", RC_OK);
        now += 59 * SECOND;
    }
    for (size_t i = 0; i < sizeof waits_s / sizeof waits_s[0]; i++) {
        login("mallory", RC_OK);
        until = now + waits_s[i] * (uint64_t)SECOND;
        assert_int_equal(request("mallory", &t), LOGIN_REQUEST_PACED);
        assert_int_equal(t.state, LOGIN_TICKET_IDLE);
        assert_true(login_governor_paced_until(g, now, SLICE_LIT("mallory")) == until);
        assert_true(login_governor_paced_until(g, now, SLICE_LIT("alice")) == 0);
        login("u", RC_OK);
        now = until - 1;
        assert_int_equal(request("mallory", &t), LOGIN_REQUEST_PACED);
        now++;
    }
    assert_int_equal(login_governor_stats(g)->turned_away_paced, 16);
    now += MINUTE; /* calm: all is as in the beginning */
    for (int i = 0; i < LOGIN_PACE_FREE; i++)
        login("mallory", RC_OK);
    assert_true(login_governor_paced_until(g, now, SLICE_LIT("mallory")) == 0);
    login("mallory", RC_OK);
    assert_true(login_governor_paced_until(g, now, SLICE_LIT("mallory")) == now + 5 * SECOND);
}

/* A crowd that comes all at once is not held up, and hides nobody who has a pause to wait for. */
static void test_pace_and_a_crowd(void **state)
{
    struct login_governor_options o = defaults;

    (void)state;
    o.via = LOGIN_VIA_DDP;
    o.ddp_per_second = 0;
    open_with(o);
    for (int i = 0; i < LOGIN_PACE_FREE + 1; i++)
        login("mallory", RC_OK);
    for (int i = 0; i < 10000; i++)
        login("u", RC_OK);
    assert_true(login_governor_paced_until(g, now, SLICE_LIT("mallory")) == now + 5 * SECOND);
}

/* Asked at each wakeup it names, and never more often, everyone gets through. */
static void test_wakeups_suffice(void **state)
{
    enum { N = 300 };
    static struct login_ticket t[N];
    unsigned granted = 0;
    uint64_t wakeup;

    (void)state;
    for (int i = 0; i < N; i++)
        assert_int_equal(request("u", &t[i]), LOGIN_REQUEST_QUEUED);
    while ((wakeup = login_governor_wakeup_ms(g, now)) != UINT64_MAX) {
        struct login_ticket *grant;
        unsigned before = granted;

        assert_true(wakeup >= now);
        now = wakeup;
        while ((grant = next()) != NULL) {
            assert_ptr_equal(grant, &t[granted]);
            granted++;
            done(grant, "u", granted % 50 == 0 ? RC_BLOCKED_IP : RC_OK);
        }
        assert_true(granted > before);
    }
    assert_int_equal(granted, N);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_first_come_first_served),
        T(test_queue_is_bounded),
        T(test_one_goes_ahead_of_all),
        T(test_auto_takes_rest_then_ddp),
        T(test_one_road_only),
        T(test_untold_window_is_safe_for_any_window),
        T(test_told_window_against_a_server),
        T(test_rate_limited),
        T(test_odd_headers),
        T(test_all_of_a_window_is_used),
        T(test_window_turns_under_way),
        T(test_refusals_are_remembered),
        T(test_what_is_a_refusal),
        T(test_refusal_table_is_bounded),
        T(test_blocked_address_pauses_all),
        T(test_many_refusals_pause_all),
        T(test_successes_are_paced),
        T(test_pace_and_a_crowd),
        T(test_wakeups_suffice),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
