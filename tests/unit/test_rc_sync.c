#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rocketchat/rc_sync.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static char seen[1024];

static void on_message(void *arg, const struct rc_message *m)
{
    (void)arg;
    snprintf(seen + strlen(seen), sizeof seen - strlen(seen), "+%.*s@%" PRId64 " ", (int)m->id.len,
             m->id.ptr, m->updated_ms);
}

static void on_deleted(void *arg, struct slice id, int64_t deleted_ms)
{
    (void)arg;
    snprintf(seen + strlen(seen), sizeof seen - strlen(seen), "-%.*s@%" PRId64 " ", (int)id.len,
             id.ptr, deleted_ms == RC_NO_DATE ? -1 : deleted_ms);
}

static void check(const char *json, bool ok, const char *want)
{
    const struct rc_sync_sink sink = {on_message, on_deleted, NULL};

    seen[0] = '\0';
    assert_int_equal(rc_sync_read(slice_of(json), &sink), ok);
    assert_string_equal(seen, want);
}

static void test_forms(void **state)
{
    (void)state;
    check("{\"updated\":[{\"_id\":\"a\",\"_updatedAt\":{\"$date\":5}},{\"_id\":\"b\"}],"
          "\"deleted\":[{\"_id\":\"c\",\"_deletedAt\":{\"$date\":7}}]}",
          true, "+a@5 +b@-9223372036854775808 -c@7 ");
    check("{\"success\":true,\"result\":{\"deleted\":[{\"_id\":\"c\"}],\"updated\":[{\"_id\":\"a\","
          "\"_updatedAt\":\"1970-01-01T00:00:00.005Z\"}]}}",
          true, "-c@-1 +a@5 ");
    check("[{\"_id\":\"a\",\"_updatedAt\":{\"$date\":5}}]", true, "+a@5 ");
    check("{\"updated\":[],\"deleted\":[]}", true, "");
}

static void test_nonsense(void **state)
{
    (void)state;
    check("", false, "");
    check("null", false, "");
    check("{}", false, "");
    check("{\"updated\":7}", false, "");
    check("{\"result\":{\"result\":{\"updated\":[]}}}", false, "");
    check("{\"updated\":[{\"_id\":\"a\"}", false, ""); /* breaks off: nothing is taken */
    check("{\"updated\":[1,null,{},{\"_id\":2},[]],\"deleted\":[1,{},{\"_id\":\"\"}]}", true, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_nonsense),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
