#include "bridge/options.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_parse(void **state)
{
    static const struct {
        const char *words[4];
        const char *error, *about; /* error NULL: good */
        enum options_action action;
        const char *config;
    } cases[] = {
        {{NULL}, NULL, NULL, OPTIONS_RUN, NULL},
        {{"--config", "a.json"}, NULL, NULL, OPTIONS_RUN, "a.json"},
        {{"--config=a.json"}, NULL, NULL, OPTIONS_RUN, "a.json"},
        {{"--check-config", "--config", "a"}, NULL, NULL, OPTIONS_CHECK_CONFIG, "a"},
        {{"--config=a=b", "--print-config"}, NULL, NULL, OPTIONS_PRINT_CONFIG, "a=b"},
        {{"--version"}, NULL, NULL, OPTIONS_VERSION, NULL},
        {{"--help"}, NULL, NULL, OPTIONS_HELP, NULL},
        {{"-h"}, NULL, NULL, OPTIONS_HELP, NULL},
        {{"--config"}, "needs a file", "--config", OPTIONS_RUN, NULL},
        {{"--config="}, "needs a file", "--config=", OPTIONS_RUN, NULL},
        {{"--config=a", "--config=b"}, "is given twice", "--config=b", OPTIONS_RUN, NULL},
        {{"--version", "--help"}, "is one action too many", "--help", OPTIONS_RUN, NULL},
        {{"--configs=a"}, "is no option", "--configs=a", OPTIONS_RUN, NULL},
        {{"a.json"}, "is no option", "a.json", OPTIONS_RUN, NULL},
        {{"--"}, "is no option", "--", OPTIONS_RUN, NULL},
        {{""}, "is no option", "", OPTIONS_RUN, NULL},
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
        if (cases[i].config == NULL)
            assert_null(o.config);
        else
            assert_string_equal(o.config, cases[i].config);
    }
}

static void test_texts(void **state)
{
    static const char *const words[] = {"--config", "--check-config", "--print-config", "--version",
                                        "--help"};

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
