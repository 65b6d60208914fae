#include "bridge/admin/metrics.h"
#include "bridge/identity/jwt.h"
#include "bridge/session/user_session.h"
#include "signalr/http/http_server.h"
#include "signalr/hub/signalr_server.h"
#include <ctype.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* The runs that other modules' enums index. */
_Static_assert(METRIC_ENDED_DRAIN - METRIC_ENDED_CLIENT == HUB_END_DRAIN, "hub_end");
_Static_assert(HUB_END_NEND == HUB_END_DRAIN + 1, "hub_end");
_Static_assert(METRIC_AUTH_REFRESH_TOKEN - METRIC_AUTH_TOO_LARGE ==
                   JWT_REFRESH_TOKEN - JWT_TOO_LARGE,
               "jwt");
_Static_assert(JWT_NRESULTS == JWT_REFRESH_TOKEN + 1, "jwt_result");
_Static_assert(METRIC_SESSIONS_CLOSING - METRIC_SESSIONS_IDLE == SESSION_CLOSING, "session_state");
_Static_assert(SESSION_NSTATES == SESSION_CLOSING + 1, "session_state");
_Static_assert(METRIC_SESSIONS_LIVE - METRIC_SESSIONS_IDLE == SESSION_LIVE, "session_state");
_Static_assert(METRIC_HTTP_PROXY_HEADER - METRIC_HTTP_BAD_REQUEST == HTTP_NOTE_BAD_PROXY_HEADER,
               "http_note");
_Static_assert(METRIC_RESPONSES_5XX - METRIC_RESPONSES_1XX == 4, "classes");

static char *scrape(const struct metrics *m)
{
    struct byte_buf out = {0};

    metrics_write(m, &out);
    assert_false(byte_buf_failed(&out));
    byte_buf_putc(&out, '\0');
    return out.data;
}

static void assert_line(const struct metrics *m, const char *line)
{
    char *text = scrape(m);

    if (strstr(text, line) == NULL)
        fail_msg("%s is not in %s", line, text);
    free(text);
}

static void test_sums(void **state)
{
    struct metrics *m = metrics_new(2);

    (void)state;
    assert_line(m, "\npushbridge_negotiations_total 0\n");
    metrics_inc(metrics_block(m, 0), METRIC_NEGOTIATIONS);
    metrics_add(metrics_block(m, 1), METRIC_NEGOTIATIONS, 2);
    metrics_add_shared(m, METRIC_NEGOTIATIONS, 4);
    assert_line(m, "\npushbridge_negotiations_total 7\n");
    metrics_set(metrics_block(m, 0), METRIC_QUEUE_BYTES, 10);
    metrics_add(metrics_block(m, 1), METRIC_QUEUE_BYTES, -3);
    assert_line(m, "\npushbridge_queue_bytes 7\n");
    metrics_add(metrics_block(m, 1), METRIC_QUEUE_BYTES, -8);
    assert_line(m, "\npushbridge_queue_bytes 0\n");
    metrics_inc(metrics_block(m, 1), METRIC_LOGINS_DDP_OK);
    assert_line(m, "\npushbridge_logins_total{road=\"ddp\",result=\"ok\"} 1\n");
    metrics_free(m);
    metrics_free(NULL);
}

static void test_histogram(void **state)
{
    static const uint64_t ns[] = {0, 10000, 10001, 999999, 1000000, 10000000000u, 10000000001u};
    struct metrics *m = metrics_new(1);

    (void)state;
    for (size_t i = 0; i < sizeof ns / sizeof ns[0]; i++)
        metrics_observe_push(metrics_block(m, i % 2), ns[i]);
    assert_line(m, "\npushbridge_push_seconds_bucket{le=\"0.00001\"} 2\n");
    assert_line(m, "\npushbridge_push_seconds_bucket{le=\"0.000025\"} 3\n");
    assert_line(m, "\npushbridge_push_seconds_bucket{le=\"0.0005\"} 3\n");
    assert_line(m, "\npushbridge_push_seconds_bucket{le=\"0.001\"} 5\n");
    assert_line(m, "\npushbridge_push_seconds_bucket{le=\"10\"} 6\n");
    assert_line(m, "\npushbridge_push_seconds_bucket{le=\"+Inf\"} 7\n");
    assert_line(m, "\npushbridge_push_seconds_sum 20.002020001\n");
    assert_line(m, "\npushbridge_push_seconds_count 7\n");
    metrics_free(m);
}

/* What a scraper asks of the text: HELP and TYPE once for each name, before its values; every name
 * and label well formed; counters end in _total; no series twice. */
static void test_format(void **state)
{
    struct metrics *m = metrics_new(1);
    char *text = scrape(m), *saved = NULL, type[64] = "", series[512][160];
    size_t n = 0;

    (void)state;
    assert_int_equal(text[strlen(text) - 1], '\n');
    for (char *line = strtok_r(text, "\n", &saved); line; line = strtok_r(NULL, "\n", &saved)) {
        char name[128], kind[16];
        size_t len;

        if (sscanf(line, "# HELP %127s", name) == 1) {
            assert_true(strlen(line) > strlen("# HELP  ") + strlen(name));
            for (size_t i = 0; i < n; i++) /* not seen before */
                assert_true(strncmp(series[i], name, strlen(name)) != 0 ||
                            strchr("{ ", series[i][strlen(name)]) == NULL);
            continue;
        }
        if (sscanf(line, "# TYPE %63s %15s", type, kind) == 2) {
            if (strcmp(kind, "counter") == 0)
                assert_string_equal(type + strlen(type) - 6, "_total");
            continue;
        }
        len = strcspn(line, "{ ");
        assert_true(strncmp(line, type, strlen(type)) == 0 && len >= strlen(type));
        for (size_t i = 0; i < len; i++)
            assert_true(isalnum((unsigned char)line[i]) || line[i] == '_');
        len = (size_t)(strrchr(line, ' ') - line);
        assert_true(isdigit((unsigned char)line[len + 1]));
        line[len] = '\0';
        for (size_t i = 0; i < n; i++)
            assert_string_not_equal(series[i], line);
        assert_true(n < sizeof series / sizeof series[0]);
        snprintf(series[n++], sizeof series[0], "%s", line);
    }
    assert_int_equal(n, METRICS_COUNT + METRICS_BUCKETS + 3);
    free(text);
    metrics_free(m);
}

static void *count(void *arg)
{
    for (int i = 0; i < 10000; i++) {
        metrics_inc(arg, METRIC_OPENED);
        metrics_observe_push(arg, (uint64_t)i * 1000);
    }
    return NULL;
}

/* Owners write while another thread scrapes. */
static void test_threads(void **state)
{
    struct metrics *m = metrics_new(2);
    pthread_t threads[2];

    (void)state;
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count, metrics_block(m, i)), 0);
    for (int i = 0; i < 20; i++)
        free(scrape(m));
    for (unsigned i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    assert_line(m, "\npushbridge_connections_opened_total 20000\n");
    assert_line(m, "\npushbridge_push_seconds_count 20000\n");
    metrics_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sums),
        cmocka_unit_test(test_histogram),
        cmocka_unit_test(test_format),
        cmocka_unit_test(test_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
