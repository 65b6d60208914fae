/* One question to all shards: each answers once, in the order of the asks, and the asker hears when
 * the last has. Two shards on one loop over real mailboxes. */
#include "loop_shards.h"

#include "bridge/shard_ask.h"
#include <stdio.h>
#include <string.h>

enum { NSHARDS = 2, LANE_BYTES = 100 };

static struct program program;
static struct shard shards[NSHARDS];
static uv_loop_t loop;
static char seen[64]; /* "a0 a1 A " : question a at 0 and at 1, then its end */

struct question {
    struct shard_ask ask;
    char name;
    unsigned rounds;
};

enum mailbox_post shard_post(struct shard *from, unsigned to, struct mail *mail)
{
    return mailbox_post(shards[to].mailbox, from->index, mail);
}

static void note(char a, char b)
{
    const size_t n = strlen(seen);

    snprintf(seen + n, sizeof seen - n, "%c%c ", a, b);
}

static void on_shard(struct shard_ask *ask, struct shard *s)
{
    note(((struct question *)ask)->name, (char)('0' + s->index));
}

static void done(struct shard_ask *ask)
{
    struct question *q = (struct question *)ask;

    note(q->name, '.');
    if (q->rounds > 0) {
        q->rounds--;
        assert_int_equal(shard_ask_start(ask), SHARD_ASK_SENT);
    }
}

static struct question question(char name, uint32_t bytes)
{
    return (struct question){
        .ask = {.on_shard = on_shard, .done = done, .from = &shards[0], .bytes = bytes},
        .name = name};
}

static int start(void **state)
{
    (void)state;
    seen[0] = '\0';
    memset(shards, 0, sizeof shards);
    loop_shards_open(&loop, &program, shards, NSHARDS, NSHARDS + 1, LANE_BYTES);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    loop_shards_close(&loop, shards, NSHARDS);
    return 0;
}

static void deliver(unsigned shard)
{
    mailbox_deliver_all(shards[shard].mailbox);
}

static void test_order_and_rounds(void **state)
{
    struct question a = question('a', 0), b = question('b', 10);

    (void)state;
    a.rounds = 1;
    assert_int_equal(shard_ask_start(&a.ask), SHARD_ASK_SENT);
    assert_int_equal(shard_ask_start(&b.ask), SHARD_ASK_SENT);
    deliver(1);
    assert_string_equal(seen, "a1 b1 ");
    deliver(0); /* takes the questions, then the answers; and the second round's question */
    assert_string_equal(seen, "a1 b1 a0 b0 a. b. a0 ");
    deliver(1);
    deliver(0);
    assert_string_equal(seen, "a1 b1 a0 b0 a. b. a0 a1 a. ");
}

/* A shard that is behind: data is refused before anybody has it, a few words never are. */
static void test_full(void **state)
{
    struct question a = question('a', 60), b = question('b', 60), c = question('c', 0);

    (void)state;
    assert_int_equal(shard_ask_start(&a.ask), SHARD_ASK_SENT);
    deliver(0);
    assert_int_equal(shard_ask_start(&b.ask), SHARD_ASK_FULL);
    assert_int_equal(shard_ask_start(&c.ask), SHARD_ASK_SENT);
    deliver(0);
    assert_string_equal(seen, "a0 c0 ");
    deliver(1);
    deliver(0);
    assert_string_equal(seen, "a0 c0 a1 c1 a. c. ");
    assert_int_equal(shard_ask_start(&b.ask), SHARD_ASK_SENT);
    deliver(0);
    deliver(1);
    deliver(0);
    assert_string_equal(seen, "a0 c0 a1 c1 a. c. b0 b1 b. ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_order_and_rounds, start, stop),
        cmocka_unit_test_setup_teardown(test_full, start, stop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
