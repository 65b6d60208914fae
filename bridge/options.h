/* bridge/options.h - the command line.
 *
 *   pushbridge [--config FILE] [--check-config | --print-config | --version | --help]
 *   pushbridge doctor [--config FILE] [--token JWT] */
#ifndef BRIDGE_OPTIONS_H
#define BRIDGE_OPTIONS_H

#include <stdbool.h>

enum options_action {
    OPTIONS_RUN,
    OPTIONS_CHECK_CONFIG,
    OPTIONS_PRINT_CONFIG,
    OPTIONS_VERSION,
    OPTIONS_HELP,
    OPTIONS_DOCTOR,
};

struct options {
    enum options_action action;
    const char *config; /* borrowed from argv, as the token is; NULL: none */
    const char *token;  /* for the doctor alone */
};

#define OPTIONS_EXIT_USAGE 2 /* wrong command line or settings */

/* NULL: good. Otherwise what is wrong, a static text; *about is the word it is about. */
const char *options_parse(int argc, char *const *argv, struct options *out, const char **about);

extern const char options_version[]; /* "pushbridge 1.2.3" */

/* What --help prints before the settings. */
extern const char options_usage[];

#endif
