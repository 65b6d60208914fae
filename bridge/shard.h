/* bridge/shard.h - one shard: a thread, its loop, and everything that lives on it.
 *
 * Design section 2. Shards share the program's immutable settings, counted immutable buffers and
 * mailboxes, nothing else. A shard is built on the main thread before its own thread starts, and
 * taken down on its own loop. Its parts:
 *
 *   http, signalr    connections whose sockets are here; hub connections at home here
 *   audience.h       what those connections hear of their users' sessions
 *   sessions, ddp, rest, cache   sessions of the users whose home this is
 *   handed           sessions that log in for the tokens handed to browsers
 *   provisioner.h    accounts of users whom Rocket.Chat does not know, and their profiles
 *   abp.h            routes of ABP's shape, asked here
 *   publisher.h      what those sessions say to the connections, wherever they are
 */
#ifndef BRIDGE_SHARD_H
#define BRIDGE_SHARD_H

#include "base/slice.h"
#include "bridge/hub/audience.h"
#include "bridge/hub/publisher.h"
#include "bridge/identity/refused_tokens.h"
#include "bridge/mailbox.h"
#include "bridge/session/repair_post.h"
#include <uv.h>

struct program;

struct shard {
    unsigned index;
    struct program *program;
    uv_loop_t loop;
    uv_thread_t thread;
    struct mailbox *mailbox;
    struct metrics_block *metrics;
    struct jwt_keys *keys; /* this shard's reference to the key snapshot in force */

    struct refused_tokens refused_tokens; /* user.h: those that came to this shard */

    struct http_server *http;       /* NULL from shard_close_http() on */
    struct signalr_server *signalr; /* NULL once http is closed; mail may still be for it */
    struct audience audience;

    struct token_cache *cache;
    struct ddp_client *ddp;
    struct rest_client *rest;
    struct session_table *sessions;
    struct token_cache *handed_cache; /* tokens handed to browsers, and ... */
    struct session_table *handed;     /* ... who logs in for them: see session_table.h */
    struct publisher publisher;
    struct abp *abp;
    struct provisioner *provisioner;
    struct repair_post repairs;
    struct im_proxy *proxy;
    unsigned token_requests; /* of token_desk.h, asked here and not answered yet */

    uv_timer_t gauges_timer; /* runs for a while behind whatever happened */
    uv_prepare_t gauges_prepare;
    bool gauges_fresh;     /* copied in this turn of the loop */
    unsigned stop_waits;   /* parts that have not finished the step of the shutdown yet */
    unsigned closed_parts; /* of shard_close_parts, which goes part by part */
};

int shard_open(struct shard *s, struct program *program, unsigned index);
int shard_start(struct shard *s); /* the thread */

/* Posts to a shard's mailbox from the shard `from`. A control mail is always taken. */
enum mailbox_post shard_post(struct shard *from, unsigned to, struct mail *mail);
unsigned shard_of_user(const struct program *program, struct slice user_key);

/* The steps of a shutdown, called by mail from the main thread; each reports to it when done. */
void shard_drain_connections(struct shard *s);
void shard_drain_sessions(struct shard *s);
void shard_close_http(struct shard *s);
void shard_close_parts(struct shard *s); /* all that is left, but for the mailbox */

#endif
