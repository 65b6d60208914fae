#include "bridge/shard_ask.h"

#include "bridge/program.h"
#include "bridge/shard.h"
#include <stdlib.h>

struct shard_ask_mail {
    struct mail mail; /* goes to a shard, and comes back */
    struct shard_ask *ask;
};

static void discard(struct mail *mail)
{
    (void)mail; /* a shutdown takes all mail before it closes the mailboxes */
}

static void answer_deliver(struct mail *mail, void *consumer)
{
    struct shard_ask *ask = ((struct shard_ask_mail *)mail)->ask;

    (void)consumer;
    if (--ask->_waiting > 0)
        return;
    free(ask->_mails);
    ask->_mails = NULL;
    ask->done(ask);
}

static void question_deliver(struct mail *mail, void *consumer)
{
    struct shard_ask *ask = ((struct shard_ask_mail *)mail)->ask;
    struct shard *s = consumer;

    ask->on_shard(ask, s);
    mail->deliver = answer_deliver;
    mail->control = true;
    shard_post(s, ask->from->index, mail);
}

enum shard_ask_result shard_ask_start(struct shard_ask *ask)
{
    struct shard *from = ask->from;
    struct program *p = from->program;

    /* All or none: only this thread adds to its lanes, so what has room now has room below. */
    for (unsigned i = 0; i < p->nshards && ask->bytes > 0; i++)
        if (!mailbox_has_room(p->shards[i].mailbox, from->index, ask->bytes))
            return SHARD_ASK_FULL;
    ask->_mails = calloc(p->nshards, sizeof *ask->_mails);
    if (ask->_mails == NULL)
        return SHARD_ASK_NOMEM;
    ask->_waiting = p->nshards;
    for (unsigned i = 0; i < p->nshards; i++) {
        ask->_mails[i] = (struct shard_ask_mail){
            .mail = {.deliver = question_deliver,
                     .discard = discard,
                     .bytes = ask->bytes,
                     .control = ask->bytes == 0},
            .ask = ask,
        };
        shard_post(from, i, &ask->_mails[i].mail);
    }
    return SHARD_ASK_SENT;
}
