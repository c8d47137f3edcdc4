"""Trackio's page, served on this machine alone and live while a sweep goes on: `make dashboard`."""

import contextlib
import os
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout
from rich.progress import track

from clrbench import unofficial
from clrbench.checkout import here
from clrbench.errors import ClrbenchError
from clrbench.tracking.trackio import METRICS, Say, TrackioMirror, newest, runs

HOST = "127.0.0.1"
# Ports that are tried, from the first on that is asked for; seconds between two looks at the record.
PORTS, EVERY = 100, 1.0


def dashboard(results: Path, outputs: Path, port: int, has_browser: bool, say: Say) -> None:
    """Show the record in Trackio, and what is added to it, until Ctrl-C. Once a process, for Trackio has one folder only.

    Raises ClrbenchError where there is nothing to show, no Trackio, no port, or another dashboard in the same folder.
    """
    if not any(runs(results)):
        raise ClrbenchError(f"{results}: no records of runs there: `{here('make sweep')}` makes some within a minute or two")
    folder = outputs.absolute() / "trackio"
    _keep_to_this_machine(folder)
    _check_that_it_is_installed()
    with _alone_in(folder), _listener(port) as listener:
        for path in folder.glob("*.db*"):
            path.unlink()
        mirror = TrackioMirror(results, say)
        mirror.refresh(lambda found: track(found, "filling Trackio", transient=True, disable=not sys.stdout.isatty()))
        # Trackio would smooth the curves, which makes the rate and the accuracy what they never were.
        every = f"http://{HOST}:{listener.getsockname()[1]}/?x_axis=epoch&smoothing=0&hide_empty_tabs=true"
        # A project in the address is the only one that the page offers.
        url = f"{every}&selected_project={newest(results)}"
        if has_browser:
            _open(url)  # which waits for its answer a moment
        _give_way()
        with _served(listener):
            say(f"dashboard at {url} (the newest experiment; all of them at {every}; Ctrl-C ends it)")
            while True:
                time.sleep(EVERY)
                mirror.refresh()


def _keep_to_this_machine(folder: Path) -> None:
    """Hide from Trackio each Space, bucket, server, webhook and token of the environment, and the user's home."""
    foreign = ("TRACKIO_", "GRADIO_", "HF_", "HUGGINGFACE_", "HUGGING_FACE_", "SPACE_", "OAUTH_")
    for name in [name for name in os.environ if name.startswith(foreign) or name == "SYSTEM"]:
        del os.environ[name]
    os.environ |= {
        "TRACKIO_DIR": str(folder),
        "TRACKIO_PLOT_ORDER": ",".join(METRICS),
        # The mirror need not outlive a power cut, and is filled fifteen times as fast without waiting for the disk.
        "TRACKIO_SQLITE_SYNCHRONOUS": "off",
        "HF_HOME": str(folder / "huggingface"),
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }


def _check_that_it_is_installed() -> None:
    try:
        import trackio  # noqa: F401
    except ImportError:
        raise ClrbenchError("the dashboard needs Trackio: pip install 'clrbench[dashboard]'") from None


@contextlib.contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Hold the mirror's folder, and say in one line what goes wrong with it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # No project of Trackio's has a name with a dot.
        with FileLock(folder / ".dashboard.lock", timeout=0):
            yield
    except Timeout:
        raise ClrbenchError(f"{folder}: another dashboard shows it already: use that, or --outputs for a second one") from None
    except (OSError, sqlite3.Error) as error:
        raise ClrbenchError(f"{folder}: Trackio cannot write there ({error}): make room, or choose another --outputs") from None


def _listener(port: int) -> socket.socket:
    for candidate in range(port, min(port + PORTS, 65536)):
        with contextlib.suppress(OSError, OverflowError):
            return socket.create_server((HOST, candidate))
    raise ClrbenchError(f"no port from {port} to {port + PORTS - 1} can be had: choose another with --port")


@contextlib.contextmanager
def _served(listener: socket.socket) -> Iterator[None]:
    """Serve Trackio's page to whoever asks at `listener`, without the token that writing through it takes."""
    import uvicorn
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    app = unofficial.trackio_application()
    # Else any site could read it, with a name of its own that leads to this machine.
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"])
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, args=([listener],), name="trackio", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(2)


def _give_way() -> None:
    """Leave the processor to a sweep on the same machine: an open page asks for all rows of its runs again and again.

    Holds for threads and processes that are started from then on.
    """
    if sys.platform != "win32":
        os.nice(10)


def _open(url: str) -> None:
    """Open the page where there is a browser with a window; one in the terminal would take that over."""
    if sys.platform in ("darwin", "win32") or any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))):
        nothing = subprocess.DEVNULL
        # Apart, so that neither what browsers say nor Ctrl-C goes from one to the other.
        command = [sys.executable, "-m", "webbrowser", url]
        subprocess.Popen(command, stdin=nothing, stdout=nothing, stderr=nothing, start_new_session=True)
