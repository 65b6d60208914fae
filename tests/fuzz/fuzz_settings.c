/* Settings files: any bytes, with a line of environment before them where there is a 0 byte.
 * Taken or refused, never both; what is printed is taken again and shows no secret. */
#include "bridge/settings.h"
#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static bool load(const char *text, size_t len, char *const *environment, struct settings **s)
{
    struct settings_notes notes = {{0}, {0}};
    bool good = settings_load_text("fuzz", text, len, environment, s, &notes);

    assert(good == (*s != NULL) && good == (notes.errors.len == 0));
    assert(good || notes.errors.data[notes.errors.len - 1] == '\n');
    settings_notes_free(&notes);
    return good;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    char key[] = "Authentication__JwtBearer__SecurityKey=s3cret-s3cret-s3cret-s3cret-s3cret",
         password[] = "Im__DefaultPassword=s3cret-password", *line = NULL;
    char *environment[] = {key, password, NULL, NULL};
    char *again_environment[] = {key, password, NULL};
    const uint8_t *zero = len == 0 ? NULL : memchr(data, '\0', len);
    struct byte_buf printed = {0};
    struct settings *s, *again;

    if (zero != NULL) {
        line = strndup((const char *)data, (size_t)(zero - data));
        environment[2] = line;
        len -= (size_t)(zero + 1 - data);
        data = zero + 1;
    }
    if (load((const char *)data, len, environment, &s)) {
        settings_print(s, &printed);
        assert(memmem(printed.data, printed.len, "s3cret", 6) == NULL);
        /* Secrets are not printed, so settings that need further ones need them again. */
        if (s->im.admin_user_name[0] == '\0' && s->im.admin_user_id[0] == '\0') {
            bool good = load(printed.data, printed.len, again_environment, &again);

            assert(good);
            settings_free(again);
        }
        settings_free(s);
        byte_buf_free(&printed);
    }
    free(line);
    return 0;
}
