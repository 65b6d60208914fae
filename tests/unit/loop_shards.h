/* tests/unit/loop_shards.h - shards for tests of what goes between them: all on one loop, with
 * nothing but their mailboxes, so that the test says when mail comes. */
#ifndef TESTS_UNIT_LOOP_SHARDS_H
#define TESTS_UNIT_LOOP_SHARDS_H

#include "bridge/program.h"
#include "bridge/shard.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* lanes: how many may send, lane_bytes of mail each. The rest of each shard is the test's to fill.
 */
static inline void loop_shards_open(uv_loop_t *loop, struct program *program, struct shard *shards,
                                    unsigned n, unsigned lanes, size_t lane_bytes)
{
    assert_int_equal(uv_loop_init(loop), 0);
    program->shards = shards;
    program->nshards = n;
    for (unsigned i = 0; i < n; i++) {
        shards[i].index = i;
        shards[i].program = program;
        assert_int_equal(mailbox_new(loop, lanes, i, lane_bytes, &shards[i], &shards[i].mailbox),
                         0);
    }
}

static inline void loop_shards_close(uv_loop_t *loop, struct shard *shards, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        mailbox_close(shards[i].mailbox);
    uv_run(loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(loop), 0);
    for (unsigned i = 0; i < n; i++)
        mailbox_free(shards[i].mailbox);
}

#endif
