/* bridge/settings/settings_map.h - settings as text, before anyone knows what they mean.
 *
 * A flat list of KEY = value, the way .NET configuration sees it: sections joined by ':', list
 * items numbered ("PushBridge:TrustedProxies:0"), keys compared without case, later sources over
 * earlier ones. Only what lies in our sections gets in.
 *
 * Running out of memory here ends the process: this runs once, at start. */
#ifndef BRIDGE_SETTINGS_SETTINGS_MAP_H
#define BRIDGE_SETTINGS_SETTINGS_MAP_H

#include "base/byte_buf.h"
#include "base/slice.h"

#define SETTINGS_MAX_ENTRIES 4096
#define SETTINGS_MAX_KEY 256 /* bytes; longer keys are cut off as unknown before they get here */

enum settings_origin {
    FROM_DEFAULT,
    FROM_FILE,
    FROM_ENVIRONMENT,
    FROM_SECRET_FILE,
    FROM_NOWHERE, /* what was given was refused */
};

enum settings_value_kind {
    VALUE_TEXT,
    VALUE_INTEGER,
    VALUE_REAL,
    VALUE_BOOL,
    VALUE_EMPTY_LIST,   /* [] : replaces a default list, unlike no value at all */
    VALUE_EMPTY_OBJECT, /* {} : a section with nothing in it, and no value */
};

struct settings_entry {
    char *key, *value; /* owned */
    enum settings_value_kind kind;
    enum settings_origin origin;
    bool used; /* a table row took it */
};

struct settings_map {
    struct settings_entry *entries; /* owned */
    size_t count, cap;
};

enum settings_scope {
    SCOPE_FOREIGN, /* somebody else's: ignored */
    SCOPE_ABOVE,   /* foreign itself, but a section of ours lies below it */
    SCOPE_SHARED,  /* a section we read and the app owns: unknown keys are its business */
    SCOPE_OURS,    /* unknown keys are mistakes */
};

enum settings_scope settings_scope_of(const char *key);

void settings_map_free(struct settings_map *map); /* wipes the values */
enum settings_put {
    SETTINGS_PUT_OK,
    SETTINGS_PUT_TWICE, /* one source gives the key twice */
    SETTINGS_PUT_FULL,  /* SETTINGS_MAX_ENTRIES are in */
};

/* Copies key and value. */
enum settings_put settings_map_put(struct settings_map *map, const char *key, const char *value,
                                   enum settings_value_kind kind, enum settings_origin origin);
struct settings_entry *settings_map_find(const struct settings_map *map, const char *key);
/* Lays NAME=value pairs over the map: A__B=x sets A:B, without case. Errors become lines. */
void settings_map_environment(struct settings_map *map, char *const *environment,
                              struct byte_buf *errors);

/* A key as an operator may read it: whatever is not plain ASCII becomes '?'. */
void settings_put_key(struct byte_buf *out, const char *key);

void *settings_must(void *memory); /* NULL ends the process */

#endif
