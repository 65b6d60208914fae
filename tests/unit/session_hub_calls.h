/* tests/unit/session_hub_calls.h - hub calls of a user's tab, and their answers, on top of
 * session_fakes.h. Include once, in the test's only source file. */
#ifndef TESTS_UNIT_SESSION_HUB_CALLS_H
#define TESTS_UNIT_SESSION_HUB_CALLS_H

#include "bridge/hub/hub_method.h"
#include "session_fakes.h"

static inline void call_as(const char *key, unsigned shard, uint64_t serial, uint64_t number,
                           const char *method, const char *args)
{
    const struct call_request request = {
        .id = {shard, serial, number},
        .method = hub_method_find(slice_of(method)),
        .args = slice_of(args),
        .client_address = SLICE_LIT("10.0.0.7"),
    };

    assert_non_null(request.method);
    session_table_call(w.table, slice_of(key), &request);
    settle();
}

static inline void call(const char *method, const char *args)
{
    call_as(user_key, 2, 7, 5, method, args);
}

static inline void check_answer(const char *want)
{
    char line[2048];

    snprintf(line, sizeof line, "2/7/5 %s\n", want);
    assert_string_equal(w.answered, line);
    w.answered[0] = '\0';
}

static inline void check_params(const char *method, const char *params)
{
    assert_non_null(ddp_pending(method));
    assert_string_equal(ddp_pending(method)->params, params);
}

#endif
