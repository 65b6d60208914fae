#include "bridge/abp/abp_status.h"

#include "base/byte_buf.h"
#include "base/json_slice.h"
#include "bridge/shard.h"
#include <inttypes.h>
#include <stdlib.h>

/* Goes to the session's shard, is filled there, and comes back. */
struct status_mail {
    struct mail mail;
    unsigned from;
    abp_status_fn fn;
    void *arg;
    struct session_status status;
    size_t key_len;
    char key[];
};

static void mail_free(struct mail *mail)
{
    free(mail);
}

static void answer_deliver(struct mail *mail, void *consumer)
{
    struct status_mail *m = (struct status_mail *)mail;

    (void)consumer;
    m->fn(m->arg, &m->status);
    free(m);
}

static void question_deliver(struct mail *mail, void *consumer)
{
    struct status_mail *m = (struct status_mail *)mail;
    struct shard *s = consumer;

    session_table_status(s->sessions, (struct slice){m->key, m->key_len}, &m->status);
    m->mail.deliver = answer_deliver;
    shard_post(s, m->from, &m->mail);
}

bool abp_status_ask(struct shard *s, struct slice key, abp_status_fn fn, void *arg)
{
    struct status_mail *m = calloc(1, sizeof *m + key.len);

    if (m == NULL)
        return false;
    m->mail = (struct mail){.deliver = question_deliver, .discard = mail_free, .control = true};
    m->from = s->index;
    m->fn = fn;
    m->arg = arg;
    m->key_len = key.len;
    memcpy(m->key, key.ptr, key.len);
    shard_post(s, shard_of_user(s->program, key), &m->mail);
    return true;
}

static const char *word_of(enum session_state state)
{
    static const char *const words[SESSION_NSTATES] = {
        [SESSION_IDLE] = "idle",
        [SESSION_LOGGING_IN] = "connecting",
        [SESSION_CONNECTING] = "connecting",
        [SESSION_AUTHENTICATING] = "connecting",
        [SESSION_SUBSCRIBING] = "connecting",
        [SESSION_LIVE] = "live",
        [SESSION_BACKOFF] = "backoff",
        [SESSION_REFUSED] = "refused",
        [SESSION_CLOSING] = "idle",
    };
    return words[state];
}

void abp_status_write(struct byte_buf *out, const struct session_status *status)
{
    byte_buf_printf(out, "{\"state\":\"%s\",\"code\":", word_of(status->state));
    if (status->code[0] == '\0')
        byte_buf_puts(out, "null");
    else
        json_write_string(out, slice_of(status->code));
    if (status->retry_after_ms == 0)
        byte_buf_puts(out, ",\"retryAfter\":null");
    else
        byte_buf_printf(out, ",\"retryAfter\":%" PRIu64, (status->retry_after_ms + 999) / 1000);
    byte_buf_printf(out, ",\"connections\":%u}", status->connections);
}
