/* bridge/replay/state_file.h - a small private file that is written whole and read whole.
 *
 * Errors are errno values. Blocking: for the start and the end of the process. */
#ifndef BRIDGE_REPLAY_STATE_FILE_H
#define BRIDGE_REPLAY_STATE_FILE_H

#include "base/byte_buf.h"

#define STATE_FILE_MAX_BYTES (64u * 1024 * 1024)

/* Puts the content in the place of whatever is at path, in one step, mode 0600. */
int state_file_write(const char *path, struct slice content);
/* Appends the file's content to *out. ENOENT: there is none; EFBIG: more than the bound; EINVAL: it
 * is not a regular file; EPERM: another user's, who may have put anything into it. */
int state_file_read(const char *path, struct byte_buf *out);

#endif
