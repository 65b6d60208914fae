/* bridge/settings/settings_json.h - a settings file as .NET writes it: JSON with // and block
 * comments and with commas behind the last item. */
#ifndef BRIDGE_SETTINGS_SETTINGS_JSON_H
#define BRIDGE_SETTINGS_SETTINGS_JSON_H

#include "bridge/settings/settings_map.h"

/* Overwrites comments and trailing commas by blanks, line ends kept, so that later errors still
 * name the right line. 0, or the line where a block comment begins that never ends. */
size_t settings_json_blank(char *text, size_t len);

/* Puts what lies in our sections into the map. Errors become lines that name the file and, for
 * syntax, the line; they never quote the text, which may hold secrets. False: it is no
 * JSON object, so nothing was found in it. */
bool settings_json_read(const char *name, const char *text, size_t len, struct settings_map *map,
                        struct byte_buf *errors);

#endif
