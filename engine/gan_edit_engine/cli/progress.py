"""A job with a progress bar on the terminal, cancelled by Ctrl-C."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from gan_edit_protocol import events
from gan_edit_protocol.client import Transfer
from gan_edit_protocol.events import Accepted, Event, Notice


@contextmanager
def progress_bar() -> Iterator[tuple[Callable[[Event | Transfer], None], Callable[[], bool]]]:
    """``on_event`` and ``cancelled`` for :meth:`Client.run`: a bar and notices on standard error, and whether
    Ctrl-C was pressed.

    A second Ctrl-C interrupts at once.
    """
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with (
        Interrupts() as interrupts,
        Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar,
    ):
        task = bar.add_task("Starting", total=None)

        def show(event: Event | Transfer) -> None:
            if isinstance(event, Notice):
                console.print(str(event), highlight=False, soft_wrap=True)
            elif isinstance(event, Accepted):
                bar.update(task, description=f"Waiting for {event.ahead} other jobs" if event.ahead else "Starting")
            elif isinstance(event, events.Progress):
                bar.update(task, description=event.stage, completed=event.step, total=event.of)
            elif isinstance(event, Transfer):
                what = f"Sending {event.bytes >> 20} MB" if event.sending else "Receiving the result"
                bar.update(task, description=what, total=None)

        yield show, lambda: interrupts.any


class Interrupts:
    """Notes the first Ctrl-C instead of raising, and lets the second one through."""

    any = False

    def __enter__(self) -> Interrupts:
        self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.any = True
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def __exit__(self, *error: object) -> None:
        signal.signal(signal.SIGINT, self._before)
