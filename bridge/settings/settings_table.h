/* bridge/settings/settings_table.h - one row for each setting.
 *
 * The row is all there is to a setting: parser, bounds, default, --help and --print-config read it.
 */
#ifndef BRIDGE_SETTINGS_SETTINGS_TABLE_H
#define BRIDGE_SETTINGS_SETTINGS_TABLE_H

#include "base/byte_buf.h"
#include "bridge/settings/settings.h"

enum settings_type {
    SETTING_STRING,  /* char * */
    SETTING_LIST,    /* struct settings_list */
    SETTING_LISTEN,  /* struct settings_listen */
    SETTING_COUNT,   /* uint32_t */
    SETTING_BYTES,   /* size_t */
    SETTING_SECONDS, /* uint32_t, milliseconds */
    SETTING_BOOL,    /* bool */
    SETTING_ENUM,    /* an enum whose values count up from 0, as choices does */
};

/* Checks and normalises one value in place (it never gets longer). NULL: good. Otherwise what must
 * be, to stand behind the value. */
typedef const char *(*settings_check_fn)(char *text);

struct settings_row {
    const char *name;
    enum settings_type type;
    bool secret;   /* never printed; may come from a file by the name with File behind it */
    size_t offset; /* in struct settings */
    int64_t min,
        max; /* STRING: bytes. LIST, LISTEN: items. SECONDS: ms. COUNT, BYTES: as they are */
    const char *fallback;       /* the default, as text */
    const char *const *choices; /* ENUM: NULL-terminated */
    settings_check_fn
        check;        /* STRING, each item of LIST; NULL: none. Empty strings are not given to it */
    const char *unit; /* what a COUNT counts; NULL elsewhere */
    const char *help;
};

const struct settings_row *settings_table(size_t *count);

/* The known name an unknown key most likely means; NULL: none is near. */
const char *settings_nearest(const char *key);

/* What the row allows: "seconds from 1 to 60". */
void settings_row_allowed(const struct settings_row *row, struct byte_buf *out);

/* Puts a value into its zeroed field. LIST and LISTEN take all texts, the others the one; split: a
 * single text may hold several items. The texts are normalised in place. False: scratch holds what
 * must be, and the field is empty. */
bool settings_row_set(const struct settings_row *row, struct settings *s, char *const *texts,
                      size_t count, bool split, struct byte_buf *scratch);
/* The field as JSON. */
void settings_row_print(const struct settings_row *row, const struct settings *s,
                        struct byte_buf *out);
void settings_row_free(const struct settings_row *row, struct settings *s); /* wipes secrets */
bool settings_row_is_empty(const struct settings_row *row, const struct settings *s);

#endif
