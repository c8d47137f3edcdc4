"""One holder at a time for a run, on one machine and across machines that share a folder."""

import contextlib
import os
import socket
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from filelock import SoftFileLease, Timeout

from clrbench.errors import ClrbenchError

# A holder on this machine that died is noticed at once, one on another machine after this many seconds without a heartbeat.
LEASE_SECONDS = 60.0


class HeldElsewhereError(ClrbenchError):
    """Another process carries out this run at present."""


class RunLock:
    """The right to write a run's record, held until `locked` ends."""

    def __init__(self, lease: SoftFileLease) -> None:
        self._lease = lease

    def check(self) -> None:
        """Raise HeldElsewhereError if another process took this one for dead, as one that was stopped for long."""
        if self._lease.compromise is not None:
            raise HeldElsewhereError(f"{self._lease.lock_file}: another process took this run over")


@contextlib.contextmanager
def locked(folder: Path, patience: float | None = None) -> Iterator[RunLock]:
    """Hold the lock of a run whose working folder is `folder`.

    While another process holds it, wait, and raise HeldElsewhereError after `patience` seconds. By default these are none,
    but a lease where the holder seems dead: on another machine only the time that it stays silent tells.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if patience is None:
        patience = 1.25 * LEASE_SECONDS if lock_path(folder).exists() and not is_held(folder) else 0
    lease = _lease(folder)
    seen = _marker(folder)
    if not _is_acquired(lease, patience):
        was_silent = patience >= LEASE_SECONDS and seen == _marker(folder)
        if not (was_silent and _is_moved_aside(folder, seen) and _is_acquired(lease, 0)):
            raise _held_elsewhere(folder)
    try:
        yield RunLock(lease)
    finally:
        lease.release()


def _held_elsewhere(folder: Path) -> HeldElsewhereError:
    return HeldElsewhereError(f"{lock_path(folder)}: another process carries out this run at present")


def refuse_if_held(folder: Path) -> None:
    """Raise HeldElsewhereError if a living process holds the lock of the run of this working folder."""
    if is_held(folder):
        raise _held_elsewhere(folder)


def _marker(folder: Path) -> tuple[int, int] | None:
    """What changes when a lock is taken or its holder gives a sign of life."""
    try:
        stat = lock_path(folder).stat()
    except OSError:
        return None
    return stat.st_ino, stat.st_mtime_ns


def _is_moved_aside(folder: Path, seen: tuple[int, int] | None) -> bool:
    """Free a lock that was silent for a lease where the lock cannot: it exchanges files, which NFS and others refuse."""
    aside = folder / f".{lock_path(folder).name}-{uuid.uuid4().hex}"
    try:
        lock_path(folder).rename(aside)
    except OSError:
        return False
    stat = aside.stat()
    is_the_dead_one = (stat.st_ino, stat.st_mtime_ns) == seen
    if not is_the_dead_one:
        # A lock that was taken just now; its holder minds only if it looks twice in vain.
        with contextlib.suppress(OSError):
            lock_path(folder).hardlink_to(aside)
    aside.unlink(missing_ok=True)
    return is_the_dead_one


def is_held(folder: Path) -> bool:
    """True if a living process holds the lock of the run of this working folder; looks, and changes nothing."""
    try:
        age = time.time() - lock_path(folder).stat().st_mtime
    except OSError:
        return False
    owner = _lease(folder).owner
    # Inside a container the lock writes its number behind the name of the machine.
    if owner is not None and owner.hostname.partition("?")[0] == socket.gethostname() and not _is_alive(owner.pid):
        return False
    return age < LEASE_SECONDS


def clear_lock(folder: Path) -> bool:
    """Take away the lock that a dead process left; True if there was one."""
    if not lock_path(folder).exists() or is_held(folder):
        return False
    # Where it cannot be taken away, whoever wants the lock next will say so.
    with contextlib.suppress(HeldElsewhereError, OSError), locked(folder, patience=0):
        return True
    return False


def _lease(folder: Path) -> SoftFileLease:
    return SoftFileLease(lock_path(folder), lease_duration=LEASE_SECONDS, thread_local=False)


def _is_acquired(lease: SoftFileLease, timeout: float) -> bool:
    try:
        lease.acquire(timeout=timeout)
    except Timeout:
        return False
    return True


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def lock_path(folder: Path) -> Path:
    """The file that marks a lock."""
    return folder / "claim.lock"
