#include "signalr/http/http_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
/* after the four above */
#include <cmocka.h>

static void test_get(void **state)
{
    static const struct {
        const char *query, *key, *want; /* NULL: not there */
    } cases[] = {
        {"id=abc", "id", "abc"},
        {"ID=abc", "id", "abc"},
        {"a=1&id=abc&b=2", "id", "abc"},
        {"a=1&id=", "id", ""},
        {"a=1&id", "id", ""},
        {"id=first&id=second", "id", "first"},
        {"id=a=b", "id", "a=b"},
        {"&&id=x", "id", "x"},
        {"idx=1", "id", NULL},
        {"xid=1", "id", NULL},
        {"i%64=1", "id", NULL},
        {"", "id", NULL},
        {"access_token=e.y.J&negotiateVersion=1", "negotiateversion", "1"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct slice value = {NULL, 0};
        bool found = http_query_get(slice_of(cases[i].query), cases[i].key, &value);

        if (found != (cases[i].want != NULL) ||
            (found && !slice_eq(value, slice_of(cases[i].want))))
            fail_msg("%s: %s", cases[i].query, cases[i].key);
    }
}

static void test_percent_decode(void **state)
{
    static const struct {
        const char *text, *want; /* NULL: refused */
    } cases[] = {
        {"", ""},
        {"abc", "abc"},
        {"a+b", "a+b"},
        {"a%20b", "a b"},
        {"%41%4a%4A", "AJJ"},
        {"%2", NULL},
        {"%", NULL},
        {"%zz", NULL},
        {"%4", NULL},
        {"%%41", NULL},
        {"12345678", "12345678"},
        {"123456789", NULL}, /* no room */
        {"1234567%38", "12345678"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char out[8];
        size_t len = 99;
        bool ok = http_percent_decode(slice_of(cases[i].text), out, sizeof out, &len);

        if (ok != (cases[i].want != NULL) ||
            (ok && !slice_eq((struct slice){out, len}, slice_of(cases[i].want))))
            fail_msg("%s", cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_get),
        cmocka_unit_test(test_percent_decode),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
