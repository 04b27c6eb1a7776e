"""Memory that models leave behind, given back to the system."""

import ctypes
import gc
import threading

AFTER_S = 0.2  # behind the end of a model: what refers to it last is gone then


def give_back_soon() -> None:
    """Does it on a thread beside; calls that come in quick succession are one."""
    if not _running.locked():
        threading.Thread(target=_give_back, name="give-back", daemon=True).start()


def _give_back() -> None:
    with _running:
        gc.collect()
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc
        if trim is not None:
            trim(0)


_running = threading.Lock()
