/* Settings files: any bytes, with a line of environment before them where there is a 0 byte.
 * Taken or refused, never both; what is printed is taken again. Secrets come from the environment:
 * with others in their place, what is printed and what is complained about stays the same. */
#include "bridge/settings/settings.h"
#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* *said: the complaints, or the settings as printed. */
static bool load(struct slice text, char *const *environment, struct byte_buf *said)
{
    struct settings_notes notes = {{0}, {0}};
    struct settings *s;
    bool good = settings_load_text("fuzz", text.ptr, text.len, environment, &s, &notes);

    assert(good == (s != NULL) && good == (notes.errors.len == 0));
    assert(good || notes.errors.data[notes.errors.len - 1] == '\n');
    if (good)
        settings_print(s, said);
    else
        byte_buf_put(said, byte_buf_slice(&notes.errors));
    settings_free(s);
    settings_notes_free(&notes);
    return good;
}

static bool has(const struct byte_buf *b, const char *text)
{
    return memmem(b->data, b->len, text, strlen(text)) != NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    char key[] = "Authentication__JwtBearer__SecurityKey=s3cret-s3cret-s3cret-s3cret-s3cret",
         other_key[] = "Authentication__JwtBearer__SecurityKey=0ther!-0ther!-0ther!-0ther!-0ther!",
         password[] = "Im__DefaultPassword=s3cret-password",
         other_password[] = "Im__DefaultPassword=0ther!-password", *line = NULL;
    char *environment[] = {key, password, NULL, NULL};
    char *other_environment[] = {other_key, other_password, NULL, NULL};
    char *again_environment[] = {key, password, NULL};
    const uint8_t *zero = len == 0 ? NULL : memchr(data, '\0', len);
    struct byte_buf said = {0}, other = {0}, again = {0};
    bool good;

    if (zero != NULL) {
        line = strndup((const char *)data, (size_t)(zero - data));
        environment[2] = other_environment[2] = line;
        len -= (size_t)(zero + 1 - data);
        data = zero + 1;
    }
    good = load((struct slice){(const char *)data, len}, environment, &said);
    assert(load((struct slice){(const char *)data, len}, other_environment, &other) == good);
    assert(slice_eq(byte_buf_slice(&said), byte_buf_slice(&other)));
    /* Secrets are not printed, so settings that need further ones need them again. */
    if (good && has(&said, "\"Im:AdminUserName\": \"\"") &&
        has(&said, "\"Im:AdminUserId\": \"\"")) {
        good = load(byte_buf_slice(&said), again_environment, &again);
        assert(good);
    }
    byte_buf_free(&said);
    byte_buf_free(&other);
    byte_buf_free(&again);
    free(line);
    return 0;
}
