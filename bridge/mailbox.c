#include "bridge/mailbox.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>

#define CACHE_LINE 64

/* A producer pushes onto `posted`, newest first; the consumer takes the whole stack in one exchange
 * and turns it round into `ready`. A node is only ever reached by one side, so delivering may free
 * it at once. */
struct lane {
    _Alignas(CACHE_LINE) struct mail *_Atomic posted;
    atomic_size_t bytes; /* added before the push, taken off behind the delivery */
    struct mail *ready;  /* the consumer's, oldest first */
};

struct mailbox {
    uv_async_t wake;
    uv_check_t turn_end;
    uv_idle_t awake;     /* active while own_waits: the loop must not sleep */
    atomic_bool pending; /* a wake-up is on its way that will see everything posted before it */
    bool own_waits;      /* the end of this turn will see what was posted to `own` */
    unsigned producers, own;
    size_t lane_bytes;
    void *consumer;
    struct lane *lanes;
};

void *mail_alloc(size_t bytes)
{
    void *mail = calloc(1, bytes);

    if (mail == NULL)
        abort();
    return mail;
}

/* The exchange is a full fence between pushing the mail and libuv's plain load in uv_async_send
 * (libuv 1.44), and between clearing the flag and looking at the lanes in drain(): whichever side
 * comes second sees the other's write. */
static void wake_consumer(struct mailbox *m)
{
    if (!atomic_exchange(&m->pending, true))
        uv_async_send(&m->wake);
}

static void stay_awake(uv_idle_t *idle)
{
    (void)idle;
}

static void wait_for_turn_end(struct mailbox *m)
{
    if (m->own_waits)
        return;
    m->own_waits = true;
    uv_idle_start(&m->awake, stay_awake);
}

static struct mail *take_all(struct lane *lane)
{
    struct mail *newest = atomic_exchange_explicit(&lane->posted, NULL, memory_order_acquire);
    struct mail *oldest = NULL;

    while (newest != NULL) {
        struct mail *next = newest->_next;

        newest->_next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

static struct mail *take_one(struct lane *lane)
{
    struct mail *mail;

    if (lane->ready == NULL)
        lane->ready = take_all(lane);
    mail = lane->ready;
    if (mail != NULL) {
        lane->ready = mail->_next;
        if (!mail->control)
            atomic_fetch_sub_explicit(&lane->bytes, mail->bytes, memory_order_relaxed);
    }
    return mail;
}

/* All that stands in the lanes now, however much: the lanes' limits bound it, and a smaller batch
 * loses messages. One turn of a loop with a thousand readable DDP sockets posts a thousand mails;
 * if fewer leave in a turn than come, the lane fills although the loop could keep up. What comes
 * meanwhile waits for the next turn, so a shard that posts to itself can't starve its sockets. */
static void deliver_lane(struct mailbox *m, struct lane *lane)
{
    if (lane->ready == NULL)
        lane->ready = take_all(lane);
    while (lane->ready != NULL) {
        struct mail *mail = take_one(lane);

        mail->deliver(mail, m->consumer);
    }
}

static void drain(uv_async_t *handle)
{
    struct mailbox *m = handle->data;

    atomic_exchange(&m->pending, false);
    for (unsigned i = 0; i < m->producers; i++)
        deliver_lane(m, &m->lanes[i]);
}

static void on_turn_end(uv_check_t *check)
{
    struct mailbox *m = check->data;

    if (!m->own_waits)
        return;
    m->own_waits = false;
    uv_idle_stop(&m->awake);
    deliver_lane(m, &m->lanes[m->own]);
}

void mailbox_deliver_all(struct mailbox *m)
{
    bool any;

    do {
        any = false;
        for (unsigned i = 0; i < m->producers; i++) {
            struct mail *mail;

            while ((mail = take_one(&m->lanes[i])) != NULL) {
                mail->deliver(mail, m->consumer);
                any = true;
            }
        }
    } while (any);
}

int mailbox_new(uv_loop_t *loop, unsigned producers, unsigned own, size_t lane_bytes,
                void *consumer, struct mailbox **out)
{
    struct mailbox *m = calloc(1, sizeof *m);
    int rc = UV_ENOMEM;

    if (m == NULL)
        return rc;
    m->lanes = aligned_alloc(CACHE_LINE, producers * sizeof *m->lanes);
    if (m->lanes == NULL)
        goto fail;
    for (unsigned i = 0; i < producers; i++) {
        atomic_init(&m->lanes[i].posted, NULL);
        atomic_init(&m->lanes[i].bytes, 0);
        m->lanes[i].ready = NULL;
    }
    m->producers = producers;
    m->own = own;
    m->lane_bytes = lane_bytes;
    m->consumer = consumer;
    rc = uv_async_init(loop, &m->wake, drain);
    if (rc != 0)
        goto fail;
    uv_check_init(loop, &m->turn_end); /* these can't fail, and don't keep the loop alive */
    uv_idle_init(loop, &m->awake);
    uv_check_start(&m->turn_end, on_turn_end);
    uv_unref((uv_handle_t *)&m->turn_end);
    uv_unref((uv_handle_t *)&m->awake);
    m->wake.data = m->turn_end.data = m;
    *out = m;
    return 0;
fail:
    free(m->lanes);
    free(m);
    return rc;
}

bool mailbox_has_room(const struct mailbox *m, unsigned producer, size_t bytes)
{
    const size_t queued = mailbox_lane_bytes(m, producer);

    /* Only the producer's thread adds, so what it reads can only have shrunk meanwhile. An empty
     * lane takes a message of any size, or one larger than the limit could never pass. */
    return queued == 0 || queued + bytes <= m->lane_bytes;
}

enum mailbox_post mailbox_post(struct mailbox *m, unsigned producer, struct mail *mail)
{
    struct lane *lane = &m->lanes[producer];
    struct mail *top;

    assert(producer < m->producers);
    if (!mail->control) {
        if (!mailbox_has_room(m, producer, mail->bytes))
            return MAILBOX_FULL;
        atomic_fetch_add_explicit(&lane->bytes, mail->bytes, memory_order_relaxed);
    }
    top = atomic_load_explicit(&lane->posted, memory_order_relaxed);
    do
        mail->_next = top;
    while (!atomic_compare_exchange_weak_explicit(&lane->posted, &top, mail, memory_order_release,
                                                  memory_order_relaxed));
    if (producer == m->own)
        wait_for_turn_end(m);
    else
        wake_consumer(m);
    return MAILBOX_POSTED;
}

size_t mailbox_lane_bytes(const struct mailbox *m, unsigned producer)
{
    return atomic_load_explicit(&m->lanes[producer].bytes, memory_order_relaxed);
}

void mailbox_close(struct mailbox *m)
{
    for (unsigned i = 0; i < m->producers; i++) {
        struct mail *mail;

        while ((mail = take_one(&m->lanes[i])) != NULL)
            mail->discard(mail);
    }
    uv_close((uv_handle_t *)&m->wake, NULL);
    uv_close((uv_handle_t *)&m->turn_end, NULL);
    uv_close((uv_handle_t *)&m->awake, NULL);
}

void mailbox_free(struct mailbox *m)
{
    free(m->lanes);
    free(m);
}
