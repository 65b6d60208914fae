/* bridge/mailbox.h - how shards talk: one mailbox a shard, one lane in it for every producer.
 *
 * A lane is a FIFO with a single producer thread; what one producer posts arrives in order. Posting
 * never blocks and takes no lock. Data is bounded in bytes per lane: past the limit it is refused
 * and the producer keeps a note of the gap (design section 2). Control messages are never refused:
 * they are few (bounded by connections and logins), and losing one would leave two shards with
 * different views of a connection for ever.
 *
 * The consumer takes what stands in the lanes at the start of its turn, lane by lane; the lanes'
 * limits bound that. What is posted meanwhile waits for the next turn. What the consumer posts to
 * itself is taken at the end of the turn it was posted in, once its sockets have been read: no
 * wake-up is paid for it.
 */
#ifndef BRIDGE_MAILBOX_H
#define BRIDGE_MAILBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct mailbox;

/* Embedded at the start of a message. The message belongs to the mailbox from a successful post on;
 * it goes back to exactly one of the two functions, which frees it. */
struct mail {
    struct mail *_next;
    void (*deliver)(struct mail *mail, void *consumer); /* on the consumer's thread */
    void (*discard)(struct mail *mail);                 /* never delivered: the mailbox is freed */
    uint32_t bytes; /* what it counts against the lane's limit */
    bool control;
};

enum mailbox_post {
    MAILBOX_POSTED,
    MAILBOX_FULL, /* data only: the mail stays the caller's */
};

/* Zeroed memory for a control mail that must not be lost: a shard that waits for it would wait for
 * ever, or count a connection or a login for ever. Without memory for a few words the process ends.
 */
void *mail_alloc(size_t bytes);

#define MAILBOX_NO_OWN UINT32_MAX /* the consumer posts nothing to itself */

/* On the consumer's thread. own: the producer index of the consumer itself. 0 or a negative libuv
 * error. */
int mailbox_new(uv_loop_t *loop, unsigned producers, unsigned own, size_t lane_bytes,
                void *consumer, struct mailbox **out);
/* On the producer's thread; each producer index belongs to one thread at a time. */
enum mailbox_post mailbox_post(struct mailbox *m, unsigned producer, struct mail *mail);
/* Whether data of that size would be taken; on the producer's thread. */
bool mailbox_has_room(const struct mailbox *m, unsigned producer, size_t bytes);
/* Bytes of data waiting in a producer's lane; any thread. */
size_t mailbox_lane_bytes(const struct mailbox *m, unsigned producer);

/* On the consumer's thread, also from a mail's deliver: delivers all that has been posted, however
 * much that is, and what the delivering itself brings. For a shutdown, whose steps must not
 * overtake the mail of the steps before them in another lane. */
void mailbox_deliver_all(struct mailbox *m);

/* On the consumer's thread, when no producer will begin another post: discards what waits and
 * closes the handles; the loop must run once more. The last post may still be on its way out of
 * mailbox_post(), so the memory is another's to free. */
void mailbox_close(struct mailbox *m);
/* Any thread, when the loop is through with it and no producer is in a call. */
void mailbox_free(struct mailbox *m);

#endif
