/* bridge/shard_ask.h - ask every shard the same thing, and hear once all of them have answered.
 *
 * Embed it at the start of a job that has a place for each shard's answer. on_shard() runs on each
 * shard's own thread, in the order of the asks of one shard; it reads what the job asks and writes
 * to that shard's place only. done() runs on the asking shard when all are through; the job is
 * the asker's again then. Nothing is locked and nobody waits. An answer is as old as its mail. */
#ifndef BRIDGE_SHARD_ASK_H
#define BRIDGE_SHARD_ASK_H

#include <stdint.h>

struct shard;
struct shard_ask_mail;

struct shard_ask {
    void (*on_shard)(struct shard_ask *ask, struct shard *s);
    void (*done)(struct shard_ask *ask);
    struct shard *from; /* who asks, on its thread */
    uint32_t bytes; /* that the question keeps in each mailbox while under way; 0: a few words */
    struct shard_ask_mail *_mails; /* one for each shard */
    unsigned _waiting;
};

enum shard_ask_result {
    SHARD_ASK_SENT,
    SHARD_ASK_FULL, /* a mailbox has no room for bytes: nobody was asked */
    SHARD_ASK_NOMEM,
};

/* Only after SHARD_ASK_SENT done() is called, later. May be called again from done(). */
enum shard_ask_result shard_ask_start(struct shard_ask *ask);

#endif
