"""The page for people without GIMP: a photo, colours, and what the model makes of them."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from gan_edit_engine.library.models_folder import DEFAULT_NAMES, model_names
from gan_edit_engine.serving import words
from gan_edit_engine.serving.desk import Desk, Job
from gan_edit_engine.serving.limits import Limits, installed
from gan_edit_engine.serving.painting import Strokes, photo_editor, view_of
from gan_edit_engine.serving.programs import about_model, told_by, visitor_of
from gan_edit_engine.serving.samples import Samples
from gan_edit_engine.serving.workshop import Edit, Look, Made, Seen, read_photo
from gan_edit_protocol.client import Client
from gan_edit_protocol.errors import GanEditError
from gan_edit_protocol.events import Accepted, Cancelled, Failed, Notice, Progress
from gan_edit_protocol.settings import EditSettings

_FONTS = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"]
LOOK: dict[str, Any] = {
    "theme": gr.themes.Soft(primary_hue="blue", font=_FONTS, font_mono=["ui-monospace", "monospace"]),
    "css": words.STYLE,
    "head": words.HEAD,
}
_PICTURES = [".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff"]
_SAMPLE_SECONDS = 60
_EXAMPLE_SIDE = 512

Shown = dict[Any, Any]


@dataclass(frozen=True)
class _Pieces:
    """What a job's progress and result are shown by."""

    running: gr.BrowserState
    looking: gr.HTML
    status: gr.HTML
    edit: gr.Button
    cancel: gr.Button
    result: gr.ImageSlider
    download: gr.DownloadButton

    @property
    def all(self) -> list[Any]:
        return list(vars(self).values())


def build(desk: Desk, connect: Callable[[], Client], limits: Limits) -> None:
    """Put the page's pieces into the ``gr.Blocks`` around."""
    names = [DEFAULT_NAMES[1], *model_names()[1:]]
    gr.Markdown(words.INTRODUCTION)
    photo = gr.State(None)
    with gr.Row():
        with gr.Column(scale=3, min_width=300):
            # Gradio's editor measures its place once, when it is first shown: then everything else has its own.
            with gr.Column(visible=False, elem_id="canvas") as canvas:
                editor = photo_editor(label="Photo", height=560, elem_id="editor", buttons=["fullscreen"])
            with gr.Row():
                upload = gr.UploadButton("Choose a photo", file_types=_PICTURES, variant="primary", min_width=120)
                example = gr.Button("Try an example", min_width=120)
            looking = gr.HTML("", elem_id="looking")
            gr.Markdown(words.STEPS)
        with gr.Column(scale=2, min_width=300):
            model = gr.Dropdown(names, value=names[0], label="Model", filterable=False)
            about = gr.HTML(words.model(about_model(names[0]), None))
            reach = _slider("reach", "How far a stroke reaches", "0: what it lies on, 1: all of its kind", 1.0)
            strength = _slider("strength", "Strength", "How much of the edit is applied", 2.0)
            quality = gr.Radio(["draft", "normal", "best"], value="normal", label="Quality", info="Best takes longest")
            with gr.Row():
                edit = gr.Button("Edit", variant="primary", min_width=120)
                cancel = gr.Button("Cancel", variant="stop", min_width=120, interactive=False)
            status = gr.HTML(words.said(""), elem_id="status")
    result = gr.ImageSlider(
        label="Before and after", visible=False, interactive=False, elem_id="result", max_height=640
    )
    download = gr.DownloadButton("Download as PNG, with its latent", visible=False, elem_id="download")
    running = gr.BrowserState("", storage_key="gan-edit-job")
    pieces = _Pieces(running, looking, status, edit, cancel, result, download)
    page = _Page(desk, limits, Samples(connect), pieces)
    hidden: Any = {"api_visibility": "private"}
    job: Any = {"show_progress": "hidden", "concurrency_limit": None, **hidden}
    looked: Any = {"fn": page.looked, "inputs": [photo, model], "outputs": [looking], **job}
    upload.upload(page.opened, [upload], [canvas, editor, photo], **hidden).success(**looked)
    example.click(page.example, [model], [canvas, editor, photo], **hidden).success(**looked)
    model.change(page.about, [model], [about], **job)
    model.change(**looked)
    edit.click(page.edit, [editor, photo, model, reach, strength, quality], pieces.all, **job)
    cancel.click(page.cancelled, [running], None, **job)
    loaded = gr.context.Context.root_block
    assert loaded is not None
    loaded.load(page.about, [model], [about], **job)
    loaded.load(page.taken_up, [running], pieces.all, **job)


def _slider(name: str, label: str, info: str, most: float) -> gr.Slider:
    return gr.Slider(0.0, most, getattr(EditSettings(), name), step=0.05, label=label, info=info)


@dataclass(frozen=True)
class _Page:
    """What happens when a visitor does something. Of the visitor nothing is kept here."""

    desk: Desk
    limits: Limits
    samples: Samples
    pieces: _Pieces

    def opened(self, file: str) -> tuple[Any, Any, str]:
        """A photo was chosen."""
        with _told():
            view = view_of(read_photo(Path(file), self.limits))
        return gr.update(visible=True), {"background": view, "layers": [], "composite": None}, file

    async def example(self, model: str) -> tuple[Any, Any, str]:
        """A picture of the model itself to try things on, which is nobody's photo."""
        with _told():
            sample = await self._sample(installed(model))
            if sample is None:
                raise GanEditError("no_example", "The engine is busy and has drawn no example yet.", "Try again soon.")
        file = _own_file("example.png")
        image = Image.fromarray(sample).resize((_EXAMPLE_SIDE, _EXAMPLE_SIDE), Image.Resampling.BICUBIC)
        image.save(file)
        return await asyncio.to_thread(self.opened, str(file))

    async def about(self, model: str) -> AsyncIterator[str]:
        """A model was chosen: its licence at once, and its picture when there is one."""
        with _told():
            described = about_model(installed(model))
        yield words.model(described, self.samples.of(model))
        yield words.model(described, await self._sample(model))

    async def looked(self, photo: str | None, model: str, request: gr.Request) -> AsyncIterator[str]:
        """There is a photo: where the model looks in it."""
        if photo is None:
            yield ""
            return
        with _told():
            asked = Look(Path(photo), installed(model), self.limits)
            job = self.desk.take(visitor_of(request), uuid.uuid4().hex, asked.work)
        async for _, told in told_by(job):
            if isinstance(told, Seen):
                yield words.looking(told.view, told.told)
            elif isinstance(told, Failed):
                yield words.said(f"{told.message} {told.hint}")

    async def edit(
        self, layers: list[Strokes], photo: str | None, model: str, reach: float, strength: float, quality: str,
        request: gr.Request,
    ) -> AsyncIterator[Shown]:  # fmt: skip
        """The edit was asked for."""
        with _told():
            if photo is None:
                raise GanEditError("no_photo", "There is no photo yet.", "Choose one, or try an example.")
            settings = EditSettings.from_dict({"reach": reach, "strength": strength, "quality": quality})
            key = uuid.uuid4().hex
            asked = Edit(Path(photo), layers or [], installed(model), settings, self.limits, self.desk.folder_of(key))
            job = self.desk.take(visitor_of(request), key, asked.work)
        async for shown in self._followed(job, key):
            yield shown

    async def taken_up(self, key: str, request: gr.Request) -> AsyncIterator[Shown]:
        """The page was loaded again: a job that this browser asked for goes on, or its result is shown."""
        try:
            job = self.desk.find(visitor_of(request), key or "")
        except GanEditError:
            yield {self.pieces.running: ""}
            return
        async for shown in self._followed(job, key):
            yield shown

    def cancelled(self, key: str, request: gr.Request) -> None:
        """The visitor wants the job to end."""
        with _told():
            self.desk.find(visitor_of(request), key or "").cancel()

    async def _followed(self, job: Job, key: str) -> AsyncIterator[Shown]:
        """What the page shows of a job besides its progress, to its end."""
        pieces = self.pieces
        yield {
            pieces.running: key,
            pieces.status: words.begun(key),
            pieces.edit: gr.update(interactive=False),
            pieces.cancel: gr.update(interactive=True),
        }
        idle = {pieces.edit: gr.update(interactive=True), pieces.cancel: gr.update(interactive=False)}
        notices: list[Notice] = []
        async for _, told in told_by(job):
            if isinstance(told, Notice):
                notices.append(told)  # which come into the page with the progress, until there is a result
            elif isinstance(told, Made):
                yield {
                    **idle,
                    pieces.status: words.said(f"Done: {told.told}", notices),
                    pieces.result: gr.update(value=(str(told.before), str(told.after)), visible=True),
                    pieces.download: gr.update(value=str(told.download), visible=True),
                }
            elif isinstance(told, Seen):
                yield {pieces.looking: words.looking(told.view, told.told)}
            elif isinstance(told, Cancelled):
                yield {**idle, pieces.running: "", pieces.status: words.said("Cancelled; nothing was changed.")}
            elif isinstance(told, Failed):
                yield {**idle, pieces.running: "", pieces.status: words.said(f"{told.message} {told.hint}", notices)}
                raise _error(told.message, told.hint)

    async def _sample(self, model: str) -> Any:
        """The model's picture, waited for; None when that takes too long."""
        for _ in range(_SAMPLE_SECONDS * 4):
            if (sample := self.samples.of(model)) is not None:
                return sample
            await asyncio.sleep(0.25)
        return None


def progress(desk: Desk, visitor: str, key: str) -> str:
    """How far the visitor's job is, for the page's script; GanEditError when there is none."""
    told = [each for _, each in desk.find(visitor, key).after(0)]
    states = [each for each in told if isinstance(each, Accepted | Progress)]
    previews = [each.preview for each in states if isinstance(each, Progress) and each.preview is not None]
    notices = [each for each in told if isinstance(each, Notice)]
    return words.progress(states[-1] if states else None, previews[-1] if previews else None, notices)


@contextmanager
def _told() -> Iterator[None]:
    """What goes wrong inside becomes a sentence on the page."""
    try:
        yield
    except GanEditError as error:
        raise _error(error.message, error.hint) from None


def _error(message: str, hint: str) -> gr.Error:
    return gr.Error(f"{message} {hint}".strip(), duration=None, title="That did not work", print_exception=False)


def _own_file(name: str) -> Path:
    """A place that nobody guesses, of which the page can show what is there."""
    folder = Path(os.environ["GRADIO_TEMP_DIR"]) / uuid.uuid4().hex
    folder.mkdir(parents=True)
    return folder / name
