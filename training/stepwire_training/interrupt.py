"""Ctrl-C as a request: the step in hand is finished, saved, and then the run stops."""

import signal
from types import FrameType, TracebackType
from typing import Self

EXIT_CODE = 130  # what a shell expects of a command ended by Ctrl-C


class Interrupt:
    """Listens for SIGINT and SIGTERM inside a `with` block."""

    def __init__(self, at_step: int | None = None) -> None:
        """Stops at a given step as well, which is how tests stop a run exactly."""
        self._at_step = at_step
        self._received = False
        self._before: dict[int, signal.Handlers | object] = {}

    def asked(self, step: int) -> bool:
        """Whether the run is to stop after this step."""
        return self._received or step == self._at_step

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._receive)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _receive(self, number: int, frame: FrameType | None) -> None:
        del frame
        if self._received:
            # A second Ctrl-C means now: the last checkpoint is still there.
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        self._received = True
