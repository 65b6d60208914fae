#include "bridge/replay/replay_file.h"
#include "base/hash.h"
#include "bridge/log/log.h"
#include "bridge/mailbox.h"
#include "bridge/program.h"
#include "bridge/replay/state_file.h"
#include "bridge/session/session_table.h"
#include "bridge/shard.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int64_t wall_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static const char *path_of(const struct settings *settings)
{
    const char *path = settings->replay.state_file;

    return path[0] == '\0' || settings->replay.seconds_ms == 0 ? NULL : path;
}

/* ---- start ---- */

bool replay_file_take(struct replay_file *f, const struct settings *settings)
{
    const char *path = path_of(settings);
    int rc;

    *f = (struct replay_file){0};
    if (path == NULL)
        return false;
    rc = state_file_read(path, &f->bytes);
    f->there = rc != ENOENT;
    if (!f->there)
        return false;
    f->wrong =
        rc == 0 ? replay_state_read(byte_buf_slice(&f->bytes), &f->state) : strerrordesc_np(rc);
    if (f->wrong == NULL && f->state.saved_ms + settings->replay.seconds_ms < wall_ms())
        f->wrong = "it is too old";
    if (f->wrong != NULL)
        f->state.records = (struct slice){0};
    return f->wrong == NULL;
}

void replay_file_restore(struct replay_file *f, struct program *p)
{
    struct slice rest = f->state.records;
    struct replay_state_user user;
    unsigned users = 0;

    while (rest.len > 0) {
        const char *begin = rest.ptr;

        if (!replay_state_next_user(&rest, &user)) {
            f->wrong = "a record in it is malformed";
            break;
        }
        users += session_table_restore(p->shards[shard_of_user(p, user.key)].sessions, &user,
                                       (struct slice){begin, (size_t)(rest.ptr - begin)});
    }
    if (f->wrong != NULL)
        log_warn("replay_state_ignored", LOG_STR("reason", f->wrong));
    if (users > 0)
        log_info("replay_state_taken", LOG_UINT("users", users));
    f->state.records = (struct slice){0};
    byte_buf_free(&f->bytes);
}

void replay_file_used(struct replay_file *f, const struct settings *settings)
{
    if (f->there && unlink(path_of(settings)) != 0)
        log_warn("replay_state_not_removed", LOG_STR("error", strerrordesc_np(errno)));
}

/* ---- stop ---- */

struct leave_mail {
    struct mail mail;
    struct byte_buf records;
    unsigned users;
};

static void leave_discard(struct mail *mail)
{
    byte_buf_free(&((struct leave_mail *)mail)->records);
    free(mail);
}

static void write_file(struct replay_file *f, const char *path)
{
    struct replay_state state = {.saved_ms = wall_ms(), .records = byte_buf_slice(&f->leaving)};
    struct byte_buf file = {0};
    int rc;

    if (f->users == 0)
        return;
    hash_key(state.hash_key);
    replay_state_write(&file, &state);
    rc = byte_buf_failed(&f->leaving) || byte_buf_failed(&file)
             ? ENOMEM
             : state_file_write(path, byte_buf_slice(&file));
    if (rc == 0)
        log_info("replay_state_left", LOG_UINT("users", f->users), LOG_UINT("bytes", file.len));
    else
        log_error("replay_state_not_left", LOG_STR("error", strerrordesc_np(rc)));
    byte_buf_free(&file);
}

/* On the main thread. */
static void leave_deliver(struct mail *mail, void *consumer)
{
    struct leave_mail *m = (struct leave_mail *)mail;
    struct program *p = program_of_mail(consumer);
    struct replay_file *f = &p->replay;

    byte_buf_put(&f->leaving, byte_buf_slice(&m->records));
    f->users += m->users;
    if (++f->arrived == p->nshards)
        write_file(f, path_of(p->settings));
    leave_discard(mail);
}

void replay_file_leave(struct shard *s)
{
    struct program *p = s->program;
    struct leave_mail *m;

    if (path_of(p->settings) == NULL)
        return;
    m = mail_alloc(sizeof *m);
    m->mail = (struct mail){.deliver = leave_deliver, .discard = leave_discard, .control = true};
    m->records.limit = STATE_FILE_MAX_BYTES / 2 / p->nshards;
    m->users = session_table_save(s->sessions, &m->records);
    mailbox_post(p->mailbox, s->index, &m->mail);
}

void replay_file_free(struct replay_file *f)
{
    byte_buf_free(&f->bytes);
    byte_buf_free(&f->leaving);
}
