#include "bridge/options.h"
#include <string.h>

const char options_version[] = "pushbridge " PB_VERSION;

const char options_usage[] =
    "pushbridge: pushes a user's Rocket.Chat events to the SignalR connections of the user's "
    "tabs.\n"
    "\n"
    "  pushbridge [--config FILE] [ACTION]\n"
    "  pushbridge doctor [--config FILE] [--token JWT]\n"
    "\n"
    "  --config FILE    settings, in the shape of the app's appsettings.json\n"
    "  --check-config   say what is wrong with the settings, and exit: 0 good, 2 not\n"
    "  --print-config   print the settings in force, without secrets, and exit\n"
    "  --version        print the version and exit\n"
    "  --help           print this and exit\n"
    "\n"
    "doctor looks at all a message needs, from the clock to one user's subscriptions, and says "
    "what "
    "to\n"
    "change; exit: 0 all is well, 1 warnings, 2 failures. --token is a token of the app's, or - to "
    "read\n"
    "one from stdin; its user shows as online for a moment.\n"
    "\n"
    "Settings come from the file and from the environment, which wins: PushBridge__HubPath=/hub "
    "sets\n"
    "PushBridge:HubPath. A list is \"a,b\" or PushBridge__TrustedProxies__0=a, ...__1=b. A secret "
    "may\n"
    "come from a file, by its name with File behind it: Im__AdminPasswordFile=/run/secrets/admin.\n"
    "\n"
    "Settings:\n";

static const char *value_of(int argc, char *const *argv, int *i, const char *option)
{
    size_t len = strlen(option);

    if (strncmp(argv[*i], option, len) == 0 && argv[*i][len] == '=')
        return argv[*i] + len + 1;
    return *i + 1 < argc ? argv[++*i] : NULL;
}

static bool is_option(const char *word, const char *option)
{
    size_t len = strlen(option);

    return strncmp(word, option, len) == 0 && (word[len] == '\0' || word[len] == '=');
}

const char *options_parse(int argc, char *const *argv, struct options *out, const char **about)
{
    static const struct {
        const char *word;
        enum options_action action;
    } actions[] = {{"--check-config", OPTIONS_CHECK_CONFIG},
                   {"--print-config", OPTIONS_PRINT_CONFIG},
                   {"--version", OPTIONS_VERSION},
                   {"--help", OPTIONS_HELP},
                   {"-h", OPTIONS_HELP},
                   {"doctor", OPTIONS_DOCTOR}};
    struct options o = {.action = OPTIONS_RUN};

    for (int i = 1; i < argc; i++) {
        enum options_action action = OPTIONS_RUN;

        *about = argv[i];
        if (is_option(argv[i], "--config")) {
            if (o.config != NULL)
                return "is given twice";
            o.config = value_of(argc, argv, &i, "--config");
            if (o.config == NULL || o.config[0] == '\0')
                return "needs a file";
            continue;
        }
        if (is_option(argv[i], "--token")) {
            *about = "--token"; /* never the token itself */
            if (o.token != NULL)
                return "is given twice";
            o.token = value_of(argc, argv, &i, "--token");
            if (o.token == NULL || o.token[0] == '\0')
                return "needs a token, or -";
            continue;
        }
        for (size_t a = 0; a < sizeof actions / sizeof actions[0]; a++)
            if (strcmp(argv[i], actions[a].word) == 0)
                action = actions[a].action;
        if (action == OPTIONS_RUN)
            return "is no option";
        if (o.action != OPTIONS_RUN)
            return "is one action too many";
        o.action = action;
    }
    *about = "--token";
    if (o.token != NULL && o.action != OPTIONS_DOCTOR)
        return "is for the doctor alone";
    *out = o;
    return NULL;
}
