/* bridge/settings/settings_check.h - what no single setting can tell: the ones that need or exclude
 * each other, files that must be readable, and what is worked out from several. */
#ifndef BRIDGE_SETTINGS_SETTINGS_CHECK_H
#define BRIDGE_SETTINGS_SETTINGS_CHECK_H

#include "bridge/settings/settings.h"

/* Fills what is derived (im.address, shards, instance_name) and adds to notes what is wrong. */
void settings_check(struct settings *s, struct settings_notes *notes);

#endif
