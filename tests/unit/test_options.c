#include "bridge/options.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static bool same(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static void test_parse(void **state)
{
    static const struct {
        const char *words[4];
        const char *error, *about; /* error NULL: good */
        enum options_action action;
        const char *config, *token;
    } cases[] = {
        {{NULL}, NULL, NULL, OPTIONS_RUN, NULL, NULL},
        {{"--config", "a.json"}, NULL, NULL, OPTIONS_RUN, "a.json", NULL},
        {{"--config=a.json"}, NULL, NULL, OPTIONS_RUN, "a.json", NULL},
        {{"--check-config", "--config", "a"}, NULL, NULL, OPTIONS_CHECK_CONFIG, "a", NULL},
        {{"--config=a=b", "--print-config"}, NULL, NULL, OPTIONS_PRINT_CONFIG, "a=b", NULL},
        {{"--version"}, NULL, NULL, OPTIONS_VERSION, NULL, NULL},
        {{"--help"}, NULL, NULL, OPTIONS_HELP, NULL, NULL},
        {{"-h"}, NULL, NULL, OPTIONS_HELP, NULL, NULL},
        {{"doctor"}, NULL, NULL, OPTIONS_DOCTOR, NULL, NULL},
        {{"doctor", "--config", "a", "--token=b.c"}, NULL, NULL, OPTIONS_DOCTOR, "a", "b.c"},
        {{"--token", "-", "doctor"}, NULL, NULL, OPTIONS_DOCTOR, NULL, "-"},
        {{"doctor", "--token"}, "needs a token, or -", "--token", OPTIONS_RUN, NULL, NULL},
        {{"doctor", "--token="}, "needs a token, or -", "--token", OPTIONS_RUN, NULL, NULL},
        {{"doctor", "--token=a", "--token=b"},
         "is given twice",
         "--token",
         OPTIONS_RUN,
         NULL,
         NULL},
        {{"--token=a"}, "is for the doctor alone", "--token", OPTIONS_RUN, NULL, NULL},
        {{"doctor", "--help"}, "is one action too many", "--help", OPTIONS_RUN, NULL, NULL},
        {{"--config"}, "needs a file", "--config", OPTIONS_RUN, NULL, NULL},
        {{"--config="}, "needs a file", "--config=", OPTIONS_RUN, NULL, NULL},
        {{"--config=a", "--config=b"}, "is given twice", "--config=b", OPTIONS_RUN, NULL, NULL},
        {{"--version", "--help"}, "is one action too many", "--help", OPTIONS_RUN, NULL, NULL},
        {{"--configs=a"}, "is no option", "--configs=a", OPTIONS_RUN, NULL, NULL},
        {{"a.json"}, "is no option", "a.json", OPTIONS_RUN, NULL, NULL},
        {{"--"}, "is no option", "--", OPTIONS_RUN, NULL, NULL},
        {{""}, "is no option", "", OPTIONS_RUN, NULL, NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *argv[6] = {"pushbridge"};
        int argc = 1;
        struct options o = {.config = "untouched"};
        const char *about, *error;

        for (; argc < 5 && cases[i].words[argc - 1] != NULL; argc++)
            argv[argc] = (char *)cases[i].words[argc - 1];
        error = options_parse(argc, argv, &o, &about);
        if (cases[i].error != NULL) {
            assert_string_equal(error, cases[i].error);
            assert_string_equal(about, cases[i].about);
            assert_string_equal(o.config, "untouched");
            continue;
        }
        assert_null(error);
        assert_int_equal(o.action, cases[i].action);
        assert_true(same(o.config, cases[i].config) && same(o.token, cases[i].token));
    }
}

static void test_texts(void **state)
{
    static const char *const words[] = {"--config", "--check-config", "--print-config", "--version",
                                        "--help",   "doctor",         "--token"};

    (void)state;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        assert_non_null(strstr(options_usage, words[i]));
    assert_int_equal(strncmp(options_version, "pushbridge ", 11), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_parse), cmocka_unit_test(test_texts)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
