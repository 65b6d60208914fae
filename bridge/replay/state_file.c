#include "bridge/replay/state_file.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static int write_all(int fd, struct slice rest)
{
    while (rest.len > 0) {
        ssize_t n = write(fd, rest.ptr, rest.len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno;
        rest.ptr += n;
        rest.len -= (size_t)n;
    }
    return fsync(fd) == 0 ? 0 : errno;
}

int state_file_write(const char *path, struct slice content)
{
    struct byte_buf temporary = {0};
    int fd, rc;

    byte_buf_printf(&temporary, "%s.new", path);
    byte_buf_putc(&temporary, '\0');
    if (byte_buf_failed(&temporary))
        return ENOMEM;
    unlink(temporary.data); /* of a process that was killed; O_EXCL follows no link */
    fd = open(temporary.data, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    rc = fd < 0 ? errno : write_all(fd, content);
    if (fd >= 0)
        close(fd);
    if (rc == 0 && rename(temporary.data, path) != 0)
        rc = errno;
    if (rc != 0 && fd >= 0)
        unlink(temporary.data);
    byte_buf_free(&temporary);
    return rc;
}

static int read_all(int fd, struct byte_buf *out)
{
    struct stat st;
    ssize_t n = 1;

    if (fstat(fd, &st) != 0)
        return errno;
    if (!S_ISREG(st.st_mode))
        return EINVAL;
    if (st.st_uid != geteuid())
        return EPERM;
    if (st.st_size > STATE_FILE_MAX_BYTES)
        return EFBIG;
    if (!byte_buf_reserve(out, (size_t)st.st_size))
        return ENOMEM;
    for (off_t left = st.st_size; left > 0 && n > 0; left -= n) {
        n = read(fd, out->data + out->len, (size_t)left);
        if (n < 0)
            return errno;
        out->len += (size_t)n;
    }
    return 0;
}

int state_file_read(const char *path, struct byte_buf *out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK), rc;

    if (fd < 0)
        return errno;
    rc = read_all(fd, out);
    close(fd);
    return rc;
}
