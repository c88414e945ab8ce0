"""The page's pieces that its events tell of, by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr


@dataclass(frozen=True)
class Canvas:
    """What is painted on, and what is set for that: ``photo`` is its file, "" where there is none, None before that."""

    around: gr.Column
    editor: gr.ImageEditor
    strokes: gr.HTML
    photo: gr.State
    for_photos: gr.Column
    for_blanks: gr.Column
    edit: gr.Button

    @property
    def all(self) -> list[Any]:
        """What an event that tells of them has as its outputs."""
        return list(vars(self).values())


@dataclass(frozen=True)
class Pieces:
    """What a job's progress and result are shown by. ``chosen``: the number of the candidate that is looked at."""

    running: gr.BrowserState
    chosen: gr.State
    looking: gr.HTML
    steps: gr.Markdown
    status: gr.HTML
    edit: gr.Button
    cancel: gr.Button
    result: gr.ImageSlider
    candidates: gr.Gallery
    download: gr.DownloadButton
    onward: gr.Button

    @property
    def all(self) -> list[Any]:
        """What an event that tells of them has as its outputs."""
        return list(vars(self).values())
