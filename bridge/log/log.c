#include "bridge/log/log.h"
#include "bridge/log/log_repeats.h"
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define DEFAULT_RING_BYTES ((size_t)1024 * 1024)
#define DEFAULT_REPEAT_MS 10000
#define CHUNK_BYTES ((size_t)64 * 1024)
#define TICK_MS 500 /* how late a summary of repeats may come */
#define STOP_MS 2000

_Atomic unsigned log_level_ = LOG_LEVEL_INFO;

/* One a process, like stderr. lock guards all but the atomics. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t work, finished; /* monotonic clock, set up by log_start() */
    pthread_t writer;
    bool running, stopping, writer_done;
    int fd;
    char *ring;            /* owned while running */
    size_t cap, head, len; /* head: the oldest byte */
    uint64_t told_dropped;
    struct log_repeats repeats;
    _Atomic uint64_t dropped, requests;
    _Atomic struct log_style style; /* read before the lock is taken */
} logger = {.lock = PTHREAD_MUTEX_INITIALIZER, .fd = STDERR_FILENO};

static int64_t wall_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static uint64_t monotonic_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000 + 1;
}

static struct timespec deadline(uint64_t in_ms)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    ts.tv_sec += (time_t)(in_ms / 1000);
    ts.tv_nsec += (long)(in_ms % 1000) * 1000000;
    if (ts.tv_nsec >= 1000000000) {
        ts.tv_sec++;
        ts.tv_nsec -= 1000000000;
    }
    return ts;
}

/* Blocks: only the writer thread calls it while loops run. stderr may be non-blocking, when whoever
 * started us shares it. False: nobody reads there any more. */
static bool write_all(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, bytes, len);

        if (n >= 0) {
            bytes += n;
            len -= (size_t)n;
        } else if (errno == EAGAIN) {
            struct pollfd p = {.fd = fd, .events = POLLOUT};

            poll(&p, 1, -1);
        } else if (errno != EINTR) {
            return false;
        }
    }
    return true;
}

/* Lines are dropped whole. */
static void push(const struct log_line *line)
{
    size_t tail, first;

    if (line->len > logger.cap - logger.len) {
        atomic_fetch_add_explicit(&logger.dropped, 1, memory_order_relaxed);
        return;
    }
    tail = (logger.head + logger.len) % logger.cap;
    first = logger.cap - tail < line->len ? logger.cap - tail : line->len;
    memcpy(logger.ring + tail, line->bytes, first);
    memcpy(logger.ring, line->bytes + first, line->len - first);
    logger.len += line->len;
}

static size_t pull(char *out, size_t cap)
{
    size_t n = logger.len < cap ? logger.len : cap;
    size_t first = logger.cap - logger.head < n ? logger.cap - logger.head : n;

    memcpy(out, logger.ring + logger.head, first);
    memcpy(out + first, logger.ring, n - first);
    logger.head = (logger.head + n) % logger.cap;
    logger.len -= n;
    return n;
}

static void push_summaries(bool all)
{
    struct log_line line;

    while (log_repeats_next(&logger.repeats, monotonic_ms(), all, &line))
        push(&line);
}

static void push_dropped(void)
{
    uint64_t dropped = atomic_load_explicit(&logger.dropped, memory_order_relaxed);
    struct log_style style = atomic_load(&logger.style);
    struct log_field fields[] = {LOG_UINT("lines", dropped - logger.told_dropped), LOG_END_};
    struct log_line line;

    if (dropped == logger.told_dropped)
        return;
    log_format(&style, LOG_LEVEL_WARN, "log_lines_dropped", fields, wall_ms(), &line);
    logger.told_dropped = dropped;
    push(&line);
}

static void wait_for_work(void)
{
    struct timespec until = deadline(TICK_MS);

    while (logger.len == 0 && !logger.stopping) {
        if (logger.repeats.waiting == 0)
            pthread_cond_wait(&logger.work, &logger.lock);
        else if (pthread_cond_timedwait(&logger.work, &logger.lock, &until) == ETIMEDOUT)
            break;
    }
}

static void *writer_main(void *arg)
{
    char *chunk = arg;

    pthread_mutex_lock(&logger.lock);
    for (;;) {
        size_t n;
        bool written;

        wait_for_work();
        push_summaries(logger.stopping);
        if (logger.len == 0) /* room for it, whatever was lost */
            push_dropped();
        if (logger.len == 0 && logger.stopping)
            break;
        n = pull(chunk, CHUNK_BYTES);
        pthread_mutex_unlock(&logger.lock);
        written = write_all(logger.fd, chunk, n);
        pthread_mutex_lock(&logger.lock);
        if (!written) /* stderr is closed: a line about it would be lost as well */
            logger.told_dropped =
                atomic_fetch_add_explicit(&logger.dropped, 1, memory_order_relaxed) + 1;
    }
    logger.writer_done = true;
    pthread_cond_signal(&logger.finished);
    pthread_mutex_unlock(&logger.lock);
    free(chunk);
    return NULL;
}

/* Signals are the main thread's; a SIGPIPE of a closed stderr must not end the process. */
static int start_writer(char *chunk)
{
    sigset_t all, before;
    int error;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    error = pthread_create(&logger.writer, NULL, writer_main, chunk);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

int log_start(const struct log_options *options)
{
    size_t cap = options->ring_bytes == 0 ? DEFAULT_RING_BYTES : options->ring_bytes;
    char *ring = malloc(cap), *chunk = malloc(CHUNK_BYTES);
    pthread_condattr_t monotonic;
    int error = ENOMEM;

    if (ring == NULL || chunk == NULL)
        goto fail;
    pthread_mutex_lock(&logger.lock);
    assert(!logger.running);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&logger.work, &monotonic);
    pthread_cond_init(&logger.finished, &monotonic);
    pthread_condattr_destroy(&monotonic);
    logger.ring = ring;
    logger.cap = cap;
    logger.head = logger.len = 0;
    atomic_store(&logger.style, options->style);
    logger.fd = options->fd;
    logger.stopping = logger.writer_done = false;
    logger.repeats = (struct log_repeats){
        .window_ms = options->repeat_ms == 0 ? DEFAULT_REPEAT_MS : options->repeat_ms};
    error = start_writer(chunk);
    logger.running = error == 0;
    if (logger.running)
        atomic_store_explicit(&log_level_, (unsigned)options->level, memory_order_relaxed);
    pthread_mutex_unlock(&logger.lock);
    if (error == 0)
        return 0;
fail:
    free(chunk);
    free(ring);
    return error;
}

void log_stop(void)
{
    struct timespec until = deadline(STOP_MS);
    bool done;

    pthread_mutex_lock(&logger.lock);
    assert(logger.running);
    logger.stopping = true;
    pthread_cond_signal(&logger.work);
    while (!logger.writer_done)
        if (pthread_cond_timedwait(&logger.finished, &logger.lock, &until) == ETIMEDOUT)
            break;
    done = logger.writer_done;
    logger.running = !done;
    pthread_mutex_unlock(&logger.lock);
    if (!done) { /* nobody reads stderr: the process is about to end, and the writer with it */
        pthread_detach(logger.writer);
        return;
    }
    pthread_join(logger.writer, NULL);
    pthread_cond_destroy(&logger.work);
    pthread_cond_destroy(&logger.finished);
    free(logger.ring);
    logger.ring = NULL;
}

uint64_t log_dropped(void)
{
    return atomic_load_explicit(&logger.dropped, memory_order_relaxed);
}

uint64_t log_request_id(void)
{
    return atomic_fetch_add_explicit(&logger.requests, 1, memory_order_relaxed) + 1;
}

void log_write_(enum settings_log_level level, const char *event, const struct log_field *fields)
{
    struct log_style style = atomic_load(&logger.style);
    uint64_t hash = log_repeats_hash(level, event, fields);
    struct log_line line, before;
    bool was_idle, was_holding;

    log_format(&style, level, event, fields, wall_ms(), &line);
    pthread_mutex_lock(&logger.lock);
    if (!logger.running) {
        (void)write_all(logger.fd, line.bytes, line.len);
        pthread_mutex_unlock(&logger.lock);
        return;
    }
    was_idle = logger.len == 0;
    was_holding = logger.repeats.waiting > 0;
    if (!log_repeats_hold(&logger.repeats, hash, &line, monotonic_ms(), &before)) {
        if (before.len > 0)
            push(&before);
        push(&line);
    }
    if ((was_idle && logger.len > 0) || (!was_holding && logger.repeats.waiting > 0))
        pthread_cond_signal(&logger.work);
    pthread_mutex_unlock(&logger.lock);
}
