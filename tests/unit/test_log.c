#include "bridge/log/log.h"
#include "bridge/log/log_repeats.h"
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static struct log_line line_with(const char *text)
{
    struct log_line line;

    line.len = (size_t)snprintf(line.bytes, sizeof line.bytes, "%s\n", text);
    return line;
}

static void test_repeats(void **state)
{
    struct log_repeats *r = calloc(1, sizeof *r);
    struct log_line a = line_with("a n=1"), a2 = line_with("a n=2"), json = line_with("{\"a\":1}");
    struct log_line out;

    (void)state;
    r->window_ms = 1000;
    assert_false(log_repeats_hold(r, 5, &a, 1, &out));
    assert_int_equal(out.len, 0);
    assert_true(log_repeats_hold(r, 5, &a, 2, &out));
    assert_true(log_repeats_hold(r, 5, &a2, 1000, &out));
    assert_false(log_repeats_next(r, 1000, false, &out));
    assert_true(log_repeats_next(r, 1001, false, &out));
    assert_memory_equal(out.bytes, "a n=2 repeated=2\n", out.len);
    assert_false(log_repeats_next(r, 1001, false, &out));
    /* The time begins anew. */
    assert_false(log_repeats_hold(r, 5, &a, 1002, &out));
    assert_true(log_repeats_hold(r, 5, &json, 1003, &out));
    /* Another line in the same slot: what was held goes first. */
    assert_false(log_repeats_hold(r, 5 + LOG_REPEAT_SLOTS, &a, 1004, &out));
    assert_memory_equal(out.bytes, "{\"a\":1,\"repeated\":1}\n", out.len);
    assert_int_equal(r->waiting, 0);
    /* At the end nothing stays behind. */
    assert_true(log_repeats_hold(r, 5 + LOG_REPEAT_SLOTS, &a, 1005, &out));
    assert_true(log_repeats_next(r, 1006, true, &out));
    assert_int_equal(r->waiting, 0);
    free(r);
}

static void test_same(void **state)
{
    const struct log_field one[] = {LOG_STR("user", "a"), LOG_INT("ms", 1), LOG_END_};
    const struct log_field two[] = {LOG_STR("user", "a"), LOG_INT("ms", 2), LOG_END_};
    const struct log_field other[] = {LOG_STR("user", "b"), LOG_INT("ms", 1), LOG_END_};
    uint64_t h = log_repeats_hash(LOG_LEVEL_INFO, "e", one);

    (void)state;
    assert_true(h == log_repeats_hash(LOG_LEVEL_INFO, "e", two));
    assert_false(h == log_repeats_hash(LOG_LEVEL_INFO, "e", other));
    assert_false(h == log_repeats_hash(LOG_LEVEL_INFO, "f", one));
    assert_false(h == log_repeats_hash(LOG_LEVEL_WARN, "e", one));
}

static char *read_all(int fd)
{
    struct byte_buf text = {0};
    char chunk[65536];
    ssize_t n;

    while ((n = read(fd, chunk, sizeof chunk)) > 0)
        byte_buf_append(&text, chunk, (size_t)n);
    byte_buf_putc(&text, '\0');
    close(fd);
    return text.data;
}

static void start(int fd, size_t ring_bytes, unsigned repeat_ms)
{
    const struct log_options options = {.level = LOG_LEVEL_INFO,
                                        .style = {LOG_FORMAT_TEXT, LOG_IDENTITY_HASH},
                                        .fd = fd,
                                        .ring_bytes = ring_bytes,
                                        .repeat_ms = repeat_ms};

    assert_int_equal(log_start(&options), 0);
}

static void test_levels_and_flush(void **state)
{
    int fds[2];
    char *text;

    (void)state;
    assert_int_equal(pipe(fds), 0);
    start(fds[1], 0, 0);
    log_debug("hidden");
    log_info("shown", LOG_STR("a", "b"));
    log_error("plain");
    log_error("plain");
    log_error("plain");
    log_info("user", LOG_ID("user", SLICE_LIT("alice")));
    log_stop();
    close(fds[1]);
    text = read_all(fds[0]);
    assert_null(strstr(text, "hidden"));
    assert_null(strstr(text, "alice"));
    assert_non_null(strstr(text, " info shown a=b\n"));
    assert_non_null(strstr(text, " error plain\n"));
    assert_non_null(strstr(text, " error plain repeated=2\n"));
    assert_non_null(strstr(text, " info user user=#"));
    free(text);
}

static void test_summary_comes_by_itself(void **state)
{
    int fds[2];
    struct pollfd p;
    char text[4096] = "";
    size_t len = 0;

    (void)state;
    assert_int_equal(pipe(fds), 0);
    start(fds[1], 0, 50);
    log_info("again");
    log_info("again");
    p = (struct pollfd){.fd = fds[0], .events = POLLIN};
    while (strstr(text, "repeated=1") == NULL && poll(&p, 1, 10000) == 1) {
        ssize_t n = read(fds[0], text + len, sizeof text - 1 - len);

        assert_true(n > 0);
        len += (size_t)n;
    }
    assert_non_null(strstr(text, "again repeated=1\n"));
    log_stop();
    close(fds[0]);
    close(fds[1]);
}

static uint64_t now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

struct drain {
    int fd;
    char *text; /* filled by the thread, freed by the test */
};

static void *drain_main(void *arg)
{
    struct drain *d = arg;

    d->text = read_all(d->fd);
    return NULL;
}

/* A reader that takes nothing: callers go on, lines are dropped, and told once it reads again. */
static void test_stuck_reader(void **state)
{
    uint64_t before = log_dropped(), began = now_ms();
    struct drain d;
    pthread_t reader;
    int fds[2];

    (void)state;
    assert_int_equal(pipe(fds), 0);
    start(fds[1], 65536, 0);
    for (int i = 0; i < 5000; i++) {
        char word[16];

        snprintf(word, sizeof word, "w%d", i);
        log_info("flood", LOG_STR("word", word));
    }
    assert_true(now_ms() - began < 20000);
    assert_true(log_dropped() > before);

    d = (struct drain){.fd = fds[0]};
    assert_int_equal(pthread_create(&reader, NULL, drain_main, &d), 0);
    log_stop();
    close(fds[1]);
    pthread_join(reader, NULL);
    assert_non_null(strstr(d.text, " flood word=w0\n"));
    assert_non_null(strstr(d.text, " warn log_lines_dropped lines="));
    free(d.text);
}

/* Nobody reads at all: the end of the process is not held up for long. */
static void test_closed_reader(void **state)
{
    int fds[2];

    (void)state;
    assert_int_equal(pipe(fds), 0);
    close(fds[0]);
    start(fds[1], 0, 0);
    log_info("lost"); /* SIGPIPE would end the test */
    log_stop();
    close(fds[1]);
}

enum { THREADS = 4, LINES = 500 };

static void *log_lines(void *arg)
{
    for (int i = 0; i < LINES; i++) {
        char word[32];

        snprintf(word, sizeof word, "t%d-%d", *(const int *)arg, i);
        log_info("line", LOG_STR("word", word), LOG_REQUEST(log_request_id()));
    }
    return NULL;
}

/* Lines of several threads stay whole, and those of one thread in order. */
static void test_threads(void **state)
{
    pthread_t threads[THREADS];
    int ids[THREADS], next[THREADS] = {0};
    FILE *f = tmpfile();
    char *text, *line, *saved = NULL;

    (void)state;
    assert_non_null(f);
    start(fileno(f), 4 * 1024 * 1024, 0);
    for (int i = 0; i < THREADS; i++) {
        ids[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, log_lines, &ids[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    log_stop();
    lseek(fileno(f), 0, SEEK_SET);
    text = read_all(dup(fileno(f)));
    for (line = strtok_r(text, "\n", &saved); line != NULL; line = strtok_r(NULL, "\n", &saved)) {
        char *at = strstr(line, "word=t");
        int thread, n;

        assert_non_null(at);
        assert_int_equal(sscanf(at, "word=t%d-%d", &thread, &n), 2);
        assert_int_equal(n, next[thread]);
        next[thread]++;
    }
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(next[i], LINES);
    free(text);
    fclose(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_repeats),          cmocka_unit_test(test_same),
        cmocka_unit_test(test_levels_and_flush), cmocka_unit_test(test_summary_comes_by_itself),
        cmocka_unit_test(test_stuck_reader),     cmocka_unit_test(test_closed_reader),
        cmocka_unit_test(test_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
