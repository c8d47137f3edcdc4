"""What a user can mend: each error is one line that says what was wrong, where, and what to do."""

import errno

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_NO_PLACE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.EEXIST, errno.ENOTDIR)


class ClrbenchError(Exception):
    """Base of the errors that are shown without a traceback."""


class ConfigError(ClrbenchError):
    """A choice or value that cannot be run."""


class DataError(ClrbenchError):
    """A data set that is missing, damaged or not of the expected form."""


def worded(error: Exception, another_folder: str = "paths.results=DIR or paths.outputs=DIR") -> str:
    """The line of an error. One of the file system is told by its file, what is wrong, and what to do.

    another_folder: how the folders that are written to are chosen.
    """
    if not isinstance(error, OSError) or error.strerror is None:
        return " ".join(str(error).split())
    told = error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"
    if error.errno in _NO_ROOM:
        return f"{told}: make room, and the same command goes on"
    if error.errno in _NO_PLACE:
        return f"{told}: mend that, or take another folder by {another_folder}"
    return told
