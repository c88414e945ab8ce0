"""The engine's events on GIMP's progress bar."""

from __future__ import annotations

from gi.repository import Gimp

from gan_edit_protocol.client import Transfer
from gan_edit_protocol.events import Accepted, Event, Notice, Progress


class ProgressBar:
    """GIMP's progress bar for one call. GIMP's own Cancel beside it ends the plug-in, and with it the engine's job."""

    def __init__(self, title: str) -> None:
        Gimp.progress_init(title)

    def starting(self, seconds: float) -> None:
        """Called a few times a second while the engine starts."""
        Gimp.progress_set_text(f"Starting the GAN Edit engine ({seconds:.0f} s)")
        Gimp.progress_pulse()

    def connecting(self, seconds: float) -> None:
        """Called a few times a second while a server is asked."""
        Gimp.progress_set_text(f"Connecting to the server ({seconds:.0f} s)")
        Gimp.progress_pulse()

    def show(self, event: Event | Transfer) -> None:
        """Show where the job is."""
        if isinstance(event, Accepted) and event.ahead:
            Gimp.progress_set_text(f"Waiting for {event.ahead} other job{'s' if event.ahead > 1 else ''}")
            Gimp.progress_pulse()
        elif isinstance(event, Accepted):
            Gimp.progress_set_text("Loading the model")
            Gimp.progress_pulse()
        elif isinstance(event, Progress):
            loss = f", loss {event.loss:.3g}" if event.loss else ""  # what is no search has none
            Gimp.progress_set_text(f"{event.stage.capitalize()}: step {event.step} of {event.of}{loss}")
            Gimp.progress_update(event.step / max(event.of, 1))
        elif isinstance(event, Notice):
            Gimp.message(str(event))
        elif isinstance(event, Transfer):
            Gimp.progress_set_text(f"Sending {event.bytes >> 20} MB" if event.sending else "Receiving the result")
            Gimp.progress_pulse()

    def end(self) -> None:
        Gimp.progress_end()
