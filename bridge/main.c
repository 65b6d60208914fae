/* bridge/main.c - the program. */
#include "base/hash.h"
#include "bridge/doctor/doctor.h"
#include "bridge/log/log.h"
#include "bridge/options.h"
#include "bridge/program.h"
#include "bridge/replay/replay_file.h"
#include "bridge/settings/settings.h"
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void print(FILE *to, const struct byte_buf *text)
{
    fwrite(text->data == NULL ? "" : text->data, 1, text->len, to);
}

static int print_help(void)
{
    struct byte_buf settings = {0};

    settings_help(&settings);
    fputs(options_usage, stdout);
    print(stdout, &settings);
    byte_buf_free(&settings);
    return 0;
}

static int print_config(const struct settings *settings)
{
    struct byte_buf text = {0};

    settings_print(settings, &text);
    print(stdout, &text);
    byte_buf_free(&text);
    return 0;
}

static void print_warnings(const struct byte_buf *warnings)
{
    struct slice rest = byte_buf_slice(warnings);

    while (rest.len > 0) {
        size_t line = (size_t)((const char *)memchr(rest.ptr, '\n', rest.len) - rest.ptr) + 1;

        fprintf(stderr, "warning: %.*s", (int)line, rest.ptr);
        rest = (struct slice){rest.ptr + line, rest.len - line};
    }
}

static struct settings *load_settings(const char *file)
{
    struct settings_notes notes = {{0}, {0}};
    struct settings *settings;

    if (!settings_load(file, environ, &settings, &notes))
        print(stderr, &notes.errors);
    print_warnings(&notes.warnings);
    settings_notes_free(&notes);
    return settings;
}

static int run(const struct settings *settings)
{
    const struct log_options log = {
        .level = settings->log.level,
        .style = {.format = settings->log.format, .identity = settings->log.identity},
        .fd = STDERR_FILENO,
    };
    struct replay_file replay;
    uint8_t seed[16];
    int rc;

    if (RAND_bytes(seed, sizeof seed) != 1)
        return PROGRAM_EXIT_RUNTIME;
    if (replay_file_take(&replay, settings))
        memcpy(seed, replay.state.hash_key, sizeof seed);
    hash_seed(seed); /* before the log starts, which hashes identities */
    if (log_start(&log) != 0) {
        fputs("pushbridge: the log's thread can't be started\n", stderr);
        return PROGRAM_EXIT_RUNTIME;
    }
    rc = program_run(settings, &replay);
    log_stop();
    if (rc == PROGRAM_EXIT_RUNTIME || rc == PROGRAM_EXIT_DRAIN)
        _exit(rc); /* no exit handler may take anything from under threads that still run */
    return rc;
}

int main(int argc, char **argv)
{
    struct options options;
    struct settings *settings;
    const char *about, *error = options_parse(argc, argv, &options, &about);
    int rc = 0;

    if (error != NULL) {
        fprintf(stderr, "pushbridge: %s %s; see --help\n", about, error);
        return OPTIONS_EXIT_USAGE;
    }
    if (options.action == OPTIONS_HELP)
        return print_help();
    if (options.action == OPTIONS_VERSION) {
        puts(options_version);
        return 0;
    }
    settings = load_settings(options.config);
    if (settings == NULL)
        return OPTIONS_EXIT_USAGE;
    if (options.action == OPTIONS_PRINT_CONFIG)
        rc = print_config(settings);
    else if (options.action == OPTIONS_CHECK_CONFIG)
        rc = program_check(settings);
    else if (options.action == OPTIONS_DOCTOR)
        rc = doctor_run(settings, options.token);
    else
        rc = run(settings);
    settings_free(settings);
    return rc;
}
