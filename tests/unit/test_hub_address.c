/* Who hears what: all, connections, users, groups; and who is in a group, how long, and how many.
 */
#include "hub_loopback.h"

#include "signalr/hub/hub_address.h"
#include "signalr/protocol/hub_message.h"
#include <stdlib.h>

#define ALICE "Authorization: Bearer alice\r\n"
#define BOB "Authorization: Bearer bob\r\n"
#define GROUP SLICE_LIT("g\xc3\xbc \0!")

struct tab {
    struct client client;
    char id[32];
};

static struct signalr_shared shared;

static struct signalr_options options(unsigned per_connection, unsigned memberships)
{
    struct signalr_options o = world_options();

    o.max_groups_per_connection = per_connection;
    o.max_group_memberships = memberships;
    o.shared = &shared;
    return o;
}

static void tab_open(struct tab *tab, struct world *w, const char *user)
{
    struct slice id;

    client_connect(&tab->client, w, 0, user);
    id = hub_connection_id(w->last);
    snprintf(tab->id, sizeof tab->id, "%.*s", (int)id.len, id.ptr);
}

/* Sends "text" and says to how many. */
static unsigned say(struct world *w, const struct hub_address *to, const char *text)
{
    char argument[64];
    struct hub_buf *b;
    unsigned sent;

    snprintf(argument, sizeof argument, "\"%s\"", text);
    b = hub_message_invocation(SLICE_LIT("T"), slice_of(argument));
    sent = signalr_server_send(w->shards[0].signalr, to, b);
    hub_buf_unref(b);
    return sent;
}

static void hears(struct tab *tab, const char *text)
{
    char want[128];

    snprintf(want, sizeof want, "{\"type\":1,\"target\":\"T\",\"arguments\":[\"%s\"]}" RS, text);
    client_expect(&tab->client, want);
}

static struct hub_address to(enum hub_addressee kind, const struct slice *names, size_t n)
{
    return (struct hub_address){.to = kind, .names = names, .nnames = n};
}

/* Every kind, once each even where two names lead there, and nobody else: what is heard next shows
 * that nothing came before it. */
static void test_addressees(void **state)
{
    struct world *w = world_start(options(0, 0));
    static struct tab a1, a2, b, anonymous;
    struct hub_address all = {.to = HUB_TO_ALL}, address;
    struct slice names[4];

    (void)state;
    tab_open(&a1, w, ALICE);
    tab_open(&a2, w, ALICE);
    tab_open(&b, w, BOB);
    tab_open(&anonymous, w, "");

    names[0] = slice_of(b.id), names[1] = slice_of(a2.id), names[2] = slice_of(b.id);
    names[3] = SLICE_LIT("AAAAAAAAAAAAAAAAAAAAAA");
    address = to(HUB_TO_CONNECTIONS, names, 4);
    assert_int_equal(say(w, &address, "some"), 2);
    hears(&b, "some");
    hears(&a2, "some");

    names[0] = SLICE_LIT("alice"), names[1] = SLICE_LIT("bob"), names[2] = SLICE_LIT("alice");
    names[3] = SLICE_LIT("ALICE");
    address = to(HUB_TO_USERS, names, 4);
    assert_int_equal(say(w, &address, "users"), 3);
    assert_int_equal(say(w, &address, "again"), 3); /* no mark stays behind */
    hears(&a1, "users");
    hears(&a1, "again");

    address.except = names + 1;
    address.nexcept = 1;
    names[1] = slice_of(a1.id);
    assert_int_equal(say(w, &address, "but one"), 1);
    hears(&a2, "users");
    hears(&a2, "again");
    hears(&a2, "but one");
    hears(&b, "users");
    hears(&b, "again");

    names[0] = slice_of(a2.id), names[1] = slice_of(b.id);
    all.except = names;
    all.nexcept = 2;
    assert_int_equal(say(w, &all, "others"), 2);
    all.nexcept = 0;
    assert_int_equal(say(w, &all, "all"), 4);
    hears(&a1, "others");
    hears(&anonymous, "others");
    hears(&a1, "all");
    hears(&a2, "all");
    hears(&b, "all");
    hears(&anonymous, "all");
    assert_int_equal(say(w, &(struct hub_address){.to = HUB_TO_GROUPS}, "nobody"), 0);
    client_leave(&a1.client);
    assert_int_equal(say(w, &all, "three"), 3);
    hears(&b, "three");
    world_stop(w);
}

static void test_groups(void **state)
{
    struct world *w = world_start(options(0, 0));
    struct signalr_server *s = w->shards[0].signalr;
    static struct tab a1, a2, b;
    const struct slice group[] = {GROUP, SLICE_LIT("other"), GROUP};
    const struct hub_address to_group = to(HUB_TO_GROUPS, group, 1);
    const struct hub_address to_both = to(HUB_TO_GROUPS, group, 3);

    (void)state;
    tab_open(&a1, w, ALICE);
    tab_open(&a2, w, ALICE);
    tab_open(&b, w, BOB);
    assert_int_equal(say(w, &to_group, "none"), 0);
    for (int i = 0; i < 2; i++) { /* idempotent */
        assert_int_equal(signalr_server_join_group(s, slice_of(a1.id), GROUP), HUB_GROUP_OK);
        assert_int_equal(signalr_server_join_group(s, slice_of(b.id), GROUP), HUB_GROUP_OK);
    }
    assert_int_equal(signalr_server_join_group(s, slice_of(b.id), SLICE_LIT("other")),
                     HUB_GROUP_OK);
    assert_int_equal(signalr_server_join_group(s, SLICE_LIT("x"), GROUP), HUB_GROUP_NOBODY);
    assert_int_equal(shared.memberships, 3);
    assert_int_equal(say(w, &to_both, "once"), 2);
    hears(&b, "once");
    hears(&a1, "once");
    for (int i = 0; i < 2; i++)
        assert_int_equal(signalr_server_leave_group(s, slice_of(a1.id), GROUP), HUB_GROUP_OK);
    assert_int_equal(signalr_server_leave_group(s, SLICE_LIT("x"), GROUP), HUB_GROUP_NOBODY);
    assert_int_equal(signalr_server_leave_group(s, slice_of(a2.id), SLICE_LIT("?")), HUB_GROUP_OK);
    assert_int_equal(say(w, &to_group, "b alone"), 1);
    hears(&b, "b alone");
    client_leave(&b.client); /* membership ends with the connection */
    assert_int_equal(shared.memberships, 0);
    assert_int_equal(say(w, &to_both, "none"), 0);
    assert_int_equal(signalr_server_join_group(s, slice_of(a1.id), GROUP), HUB_GROUP_OK);
    world_stop(w); /* frees what is left */
    assert_int_equal(shared.memberships, 0);
}

/* A user in a group: the connections it has, those it opens later, and none once it is taken out.
 */
static void test_group_of_users(void **state)
{
    struct world *w = world_start(options(0, 0));
    struct signalr_server *s = w->shards[0].signalr;
    static struct tab a1, a2, a3, b;
    const struct slice group[] = {GROUP};
    const struct hub_address to_group = to(HUB_TO_GROUPS, group, 1);
    unsigned n;

    (void)state;
    tab_open(&b, w, BOB);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(signalr_server_join_group_user(s, SLICE_LIT("alice"), GROUP, &n),
                         HUB_GROUP_OK);
        assert_int_equal(n, 0);
    }
    assert_int_equal(say(w, &to_group, "none"), 0);
    tab_open(&a1, w, ALICE);
    tab_open(&a2, w, ALICE);
    assert_int_equal(signalr_server_join_group_user(s, SLICE_LIT("alice"), GROUP, &n),
                     HUB_GROUP_OK);
    assert_int_equal(n, 2);
    assert_int_equal(signalr_server_join_group(s, slice_of(b.id), GROUP), HUB_GROUP_OK);
    assert_int_equal(say(w, &to_group, "three"), 3);
    hears(&a1, "three");
    hears(&a2, "three");
    hears(&b, "three");
    client_leave(&a1.client);
    client_leave(&a2.client);
    tab_open(&a3, w, ALICE);
    assert_int_equal(say(w, &to_group, "came back"), 2);
    hears(&a3, "came back");
    assert_int_equal(signalr_server_leave_group_user(s, SLICE_LIT("alice"), GROUP), 1);
    assert_int_equal(signalr_server_leave_group_user(s, SLICE_LIT("alice"), GROUP), 0);
    assert_int_equal(signalr_server_leave_group_user(s, SLICE_LIT("alice"), SLICE_LIT("?")), 0);
    tab_open(&a1, w, ALICE);
    assert_int_equal(say(w, &to_group, "b alone"), 1);
    hears(&b, "came back");
    hears(&b, "b alone");
    assert_int_equal(signalr_server_join_group_user(s, SLICE_LIT("bob"), GROUP, &n), HUB_GROUP_OK);
    world_stop(w); /* with a user that is in a group still */
}

static void test_limits(void **state)
{
    struct world *w = world_start(options(2, 4));
    struct signalr_server *s = w->shards[0].signalr;
    static struct tab a1, a2, b, late;
    unsigned n;

    (void)state;
    tab_open(&a1, w, ALICE);
    tab_open(&a2, w, ALICE);
    tab_open(&b, w, BOB);
    assert_int_equal(signalr_server_join_group(s, slice_of(a1.id), SLICE_LIT("1")), HUB_GROUP_OK);
    assert_int_equal(signalr_server_join_group(s, slice_of(a1.id), SLICE_LIT("2")), HUB_GROUP_OK);
    assert_int_equal(signalr_server_join_group(s, slice_of(a1.id), SLICE_LIT("3")),
                     HUB_GROUP_TOO_MANY);
    assert_int_equal(signalr_server_join_group(s, slice_of(a1.id), SLICE_LIT("2")), HUB_GROUP_OK);
    /* alice's other tab finds room, this one does not */
    assert_int_equal(signalr_server_join_group_user(s, SLICE_LIT("alice"), SLICE_LIT("3"), &n),
                     HUB_GROUP_TOO_MANY);
    assert_int_equal(n, 1);
    assert_int_equal(signalr_server_join_group(s, slice_of(b.id), SLICE_LIT("3")), HUB_GROUP_OK);
    assert_int_equal(signalr_server_join_group(s, slice_of(b.id), SLICE_LIT("1")),
                     HUB_GROUP_TOO_MANY); /* of all */
    assert_int_equal(shared.memberships, 4);
    tab_open(&late, w, ALICE);
    assert_int_equal(stats_of(w, 0).groups_missed, 1);
    client_leave(&a1.client);
    tab_open(&a1, w, ALICE);
    assert_int_equal(shared.memberships, 3);
    assert_int_equal(stats_of(w, 0).groups_missed, 1);
    /* users in groups have the same limits */
    assert_int_equal(signalr_server_join_group_user(s, SLICE_LIT("u"), SLICE_LIT("1"), &n),
                     HUB_GROUP_OK);
    assert_int_equal(signalr_server_join_group_user(s, SLICE_LIT("u"), SLICE_LIT("2"), &n),
                     HUB_GROUP_OK);
    assert_int_equal(signalr_server_join_group_user(s, SLICE_LIT("u"), SLICE_LIT("3"), &n),
                     HUB_GROUP_TOO_MANY);
    assert_int_equal(signalr_server_join_group_user(s, SLICE_LIT("v"), SLICE_LIT("1"), &n),
                     HUB_GROUP_OK);
    assert_int_equal(signalr_server_join_group_user(s, SLICE_LIT("w"), SLICE_LIT("1"), &n),
                     HUB_GROUP_TOO_MANY);
    assert_int_equal(signalr_server_leave_group_user(s, SLICE_LIT("u"), SLICE_LIT("1")), 0);
    assert_int_equal(signalr_server_join_group_user(s, SLICE_LIT("w"), SLICE_LIT("1"), &n),
                     HUB_GROUP_OK);
    world_stop(w);
}

/* A member that takes nothing any more is closed by the send that finds it so, and leaves its
 * groups in the middle of the walk. */
static void test_slow_member(void **state)
{
    struct world *w = world_start_queue(options(0, 0), 4096);
    struct signalr_server *s = w->shards[0].signalr;
    static struct tab tabs[3];
    static char text[3000];
    const struct slice group[] = {GROUP};
    const struct hub_address to_group = to(HUB_TO_GROUPS, group, 1);
    struct hub_buf *b;

    (void)state;
    for (int i = 0; i < 3; i++) {
        tab_open(&tabs[i], w, ALICE);
        assert_int_equal(signalr_server_join_group(s, slice_of(tabs[i].id), GROUP), HUB_GROUP_OK);
    }
    memset(text, 'x', sizeof text - 1);
    text[0] = text[sizeof text - 2] = '"';
    b = hub_message_invocation(SLICE_LIT("T"), slice_of(text));
    assert_int_equal(signalr_server_send(s, &to_group, b), 3);
    assert_int_equal(signalr_server_send(s, &to_group, b), 3); /* each is too slow */
    assert_int_equal(signalr_server_send(s, &to_group, b), 0);
    hub_buf_unref(b);
    pump_until(w, w->disconnected == 3);
    assert_int_equal(w->why, HUB_END_SLOW);
    world_stop(w);
}

/* As many as make the table of ids grow, gone in another order than they came. */
static void test_many_ids(void **state)
{
    enum { N = 60 };
    struct world *w = world_start(options(0, 0));
    static struct tab tabs[N];

    (void)state;
    for (int i = 0; i < N; i++)
        tab_open(&tabs[i], w, ALICE);
    for (int step = 0; step < N; step++) {
        const int gone = step * 7 % N;

        client_leave(&tabs[gone].client);
        tabs[gone].id[0] = '\0';
        for (int i = 0; i < N; i++) {
            const struct slice id = slice_of(tabs[i].id);
            const struct hub_address one = to(HUB_TO_CONNECTIONS, &id, 1);

            assert_int_equal(say(w, &one, "you"), id.len > 0);
        }
    }
    world_stop(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addressees),     cmocka_unit_test(test_groups),
        cmocka_unit_test(test_group_of_users), cmocka_unit_test(test_limits),
        cmocka_unit_test(test_slow_member),    cmocka_unit_test(test_many_ids),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
