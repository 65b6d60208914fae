#include "bridge/admin/metrics.h"
#include "bridge/log/log.h"
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

enum kind { COUNTER, GAUGE };

static const struct {
    enum kind kind;
    const char *name, *label, *help;
} rows[] = {
#define METRICS_ROW(symbol, kind, name, label, help) {kind, name, label, help},
    METRICS_TABLE(METRICS_ROW)
#undef METRICS_ROW
};

/* Three a decade, written out so that they read well on a dashboard. */
static const struct {
    uint64_t ns;
    const char *seconds;
} bounds[METRICS_BUCKETS] = {
    {10000, "0.00001"},   {25000, "0.000025"},  {50000, "0.00005"},  {100000, "0.0001"},
    {250000, "0.00025"},  {500000, "0.0005"},   {1000000, "0.001"},  {2500000, "0.0025"},
    {5000000, "0.005"},   {10000000, "0.01"},   {25000000, "0.025"}, {50000000, "0.05"},
    {100000000, "0.1"},   {250000000, "0.25"},  {500000000, "0.5"},  {1000000000, "1"},
    {2500000000u, "2.5"}, {10000000000u, "10"},
};

struct metrics {
    unsigned nblocks;
    struct metrics_block *blocks; /* owned */
};

struct metrics *metrics_new(unsigned nshards)
{
    struct metrics *m = calloc(1, sizeof *m);
    size_t size = (nshards + 1) * sizeof *m->blocks;

    if (m == NULL)
        return NULL;
    m->nblocks = nshards + 1;
    m->blocks = aligned_alloc(_Alignof(struct metrics_block), size);
    if (m->blocks == NULL) {
        free(m);
        return NULL;
    }
    memset(m->blocks, 0, size);
    metrics_set(&m->blocks[nshards], METRIC_START_TIME, (uint64_t)time(NULL));
    return m;
}

void metrics_free(struct metrics *m)
{
    if (m != NULL)
        free(m->blocks);
    free(m);
}

struct metrics_block *metrics_block(struct metrics *m, unsigned shard)
{
    assert(shard < m->nblocks);
    return &m->blocks[shard];
}

void metrics_add_shared(struct metrics *m, enum metric which, int64_t delta)
{
    atomic_fetch_add_explicit(&m->blocks[m->nblocks - 1].values[which], (uint64_t)delta,
                              memory_order_relaxed);
}

static void bump(_Atomic uint64_t *value, uint64_t by)
{
    uint64_t v = atomic_load_explicit(value, memory_order_relaxed);

    atomic_store_explicit(value, v + by, memory_order_relaxed);
}

void metrics_observe_push(struct metrics_block *b, uint64_t ns)
{
    size_t i = 0;

    while (i < METRICS_BUCKETS && ns > bounds[i].ns)
        i++;
    bump(&b->push_buckets[i], 1);
    bump(&b->push_sum_ns, ns);
}

uint64_t metrics_total(const struct metrics *m, enum metric which)
{
    uint64_t total = 0;

    if (which == METRIC_LOG_DROPPED) /* kept where it happens */
        return log_dropped();
    for (unsigned i = 0; i < m->nblocks; i++)
        total += atomic_load_explicit(&m->blocks[i].values[which], memory_order_relaxed);
    /* A gauge read while its shards move on may sum to less than nothing for a moment. */
    return rows[which].kind == GAUGE && (int64_t)total < 0 ? 0 : total;
}

static void write_head(struct byte_buf *out, const char *name, const char *help, const char *type)
{
    byte_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void write_value(const struct metrics *m, enum metric which, struct byte_buf *out)
{
    const char *label = rows[which].label;
    bool braces = label[0] != '\0';

    byte_buf_printf(out, "%s%s%s%s ", rows[which].name, braces ? "{" : "", label,
                    braces ? "}" : "");
    byte_buf_printf(out, "%" PRIu64 "\n", metrics_total(m, which));
}

static void write_push(const struct metrics *m, struct byte_buf *out)
{
    uint64_t count = 0, sum_ns = 0;

    write_head(out, METRICS_PUSH_NAME, "From a DDP frame's arrival to the end of its write.",
               "histogram");
    for (size_t i = 0; i <= METRICS_BUCKETS; i++) {
        for (unsigned b = 0; b < m->nblocks; b++)
            count += atomic_load_explicit(&m->blocks[b].push_buckets[i], memory_order_relaxed);
        byte_buf_printf(out, METRICS_PUSH_NAME "_bucket{le=\"%s\"} %" PRIu64 "\n",
                        i < METRICS_BUCKETS ? bounds[i].seconds : "+Inf", count);
    }
    for (unsigned b = 0; b < m->nblocks; b++)
        sum_ns += atomic_load_explicit(&m->blocks[b].push_sum_ns, memory_order_relaxed);
    byte_buf_printf(out, METRICS_PUSH_NAME "_sum %" PRIu64 ".%09" PRIu64 "\n", sum_ns / 1000000000,
                    sum_ns % 1000000000);
    byte_buf_printf(out, METRICS_PUSH_NAME "_count %" PRIu64 "\n", count);
}

void metrics_write(const struct metrics *m, struct byte_buf *out)
{
    static const char *const types[] = {"counter", "gauge"};

    for (size_t i = 0; i < METRICS_COUNT; i++) {
        if (i == 0 || strcmp(rows[i].name, rows[i - 1].name) != 0)
            write_head(out, rows[i].name, rows[i].help, types[rows[i].kind]);
        write_value(m, (enum metric)i, out);
    }
    write_push(m, out);
}
