/* First line: a template; the rest: a name. */
#include "bridge/identity/rc_account.h"

#include "bridge/identity/identity.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const char *const reserved[] = {"rocket.cat", NULL};
    char *text = slice_dup((struct slice){(const char *)data, len}), *name, *end;
    char out[RC_ACCOUNT_MAX_BYTES + 1];
    const char *error = NULL;
    struct rc_account *a;

    end = strchr(text, '\n');
    name = end == NULL ? text + strlen(text) : end + 1;
    if (end != NULL)
        *end = '\0';
    a = rc_account_new(text, reserved, "super", &error);
    assert(a != NULL || error != NULL);
    if (a != NULL) {
        const struct identity who = {.user_id = "1", .name = name, .tenant = "2"};

        if (rc_account_name(a, &who, NULL, out) == RC_ACCOUNT_OK) {
            assert(strlen(out) > 0);
            assert(!slice_eq_nocase(slice_of(out), SLICE_LIT("super")));
            assert(!slice_eq_nocase(slice_of(out), SLICE_LIT("rocket.cat")));
        }
        rc_account_free(a);
    }
    free(text);
    return 0;
}
