"""What happens when a visitor does something on the page. Of the visitor nothing is kept here."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gan_edit_engine.serving import advice, words
from gan_edit_engine.serving.desk import Desk, Job
from gan_edit_engine.serving.limits import Limits, installed
from gan_edit_engine.serving.painting import BLANK, Painting, Strokes, view_of
from gan_edit_engine.serving.pieces import Canvas, Pieces
from gan_edit_engine.serving.programs import about_model, told_by, visitor_of
from gan_edit_engine.serving.samples import Samples
from gan_edit_engine.serving.workshop import Candidate, Draw, Edit, Look, Made, Seen, read_photo, weaker_and_stronger
from gan_edit_protocol.errors import GanEditError
from gan_edit_protocol.events import Accepted, Cancelled, Failed, Notice, Progress
from gan_edit_protocol.settings import EditSettings, ImagineSettings

EDIT, DRAW = "Edit", "Draw"
"""On the button, with a photo and without."""
MOST_IMAGES = 8
_SAMPLE_SECONDS = 60
_EXAMPLE_SIDE = 512
_SEEDS = 1_000_000

Shown = dict[Any, Any]


@dataclass(frozen=True)
class Visits:
    """A method for each thing that can be done; it answers with what the page then shows."""

    desk: Desk
    limits: Limits
    samples: Samples
    canvas: Canvas
    pieces: Pieces

    def opened(self, file: str) -> Shown:
        """A photo was chosen."""
        with _told():
            view = view_of(read_photo(Path(file), self.limits))
        return self._prepared(view, file)

    async def example(self, model: str) -> Shown:
        """A picture of the model itself to try things on, which is nobody's photo."""
        with _told():
            sample = await self._sample(installed(model))
            if sample is None:
                raise GanEditError("no_example", "The engine is busy and has drawn no example yet.", "Try again soon.")
        file = _own_file("example.png")
        image = Image.fromarray(sample).resize((_EXAMPLE_SIDE, _EXAMPLE_SIDE), Image.Resampling.BICUBIC)
        image.save(file)
        return await asyncio.to_thread(self.opened, str(file))

    def blank(self) -> Shown:
        """Colours alone shall say what is drawn."""
        return self._prepared(BLANK, "")

    def onward(self, key: str, number: int, request: gr.Request) -> Shown:
        """What was made becomes the photo."""
        with _told():
            made = _candidate(_made(self.desk.find(visitor_of(request), key or "")), number)
            # The job's own files go when it is forgotten.
            file = shutil.copyfile(made.download, _own_file(made.download.name))
        return self.opened(str(file))

    def painted_before(self, key: str, request: gr.Request) -> Shown:
        """The page was loaded again: what was painted for its last job is there as it was."""
        with suppress(GanEditError, OSError):
            asked = self.desk.find(visitor_of(request), key or "").about
            if isinstance(asked, Painting):
                view = BLANK if asked.photo is None else view_of(read_photo(asked.photo, self.limits))
                strokes = words.strokes([file.read_bytes() for file in asked.layers])
                return {**self._prepared(view, str(asked.photo or "")), self.canvas.strokes: strokes}
        return {self.canvas.editor: None}  # left out, it would be updated, and another one

    def _prepared(self, view: NDArray[np.uint8], photo: str) -> Shown:
        canvas = self.canvas
        with _told():
            self.desk.room.check()  # Gradio keeps each view
        return {
            canvas.around: gr.update(visible=True),
            canvas.editor: {"background": view, "layers": [], "composite": None},
            canvas.strokes: "",
            canvas.photo: photo,
            canvas.for_photos: gr.update(visible=bool(photo)),
            canvas.for_blanks: gr.update(visible=not photo),
            canvas.edit: gr.update(value=EDIT if photo else DRAW),
        }

    async def about(self, model: str) -> AsyncIterator[str]:
        """A model was chosen: its licence at once, and its picture when there is one."""
        with _told():
            described = about_model(installed(model))
        yield words.model(described, self.samples.of(model))
        yield words.model(described, await self._sample(model))

    async def looked(self, photo: str | None, model: str, request: gr.Request) -> AsyncIterator[str]:
        """There is a photo: where the model looks in it."""
        if not photo:
            yield "" if photo is None else words.WITHOUT_A_PHOTO
            return
        with _told():
            asked = Look(Path(photo), installed(model), self.limits)
            job = self.desk.take(visitor_of(request), uuid.uuid4().hex, asked.work)
        async for _, told in told_by(job):
            if isinstance(told, Seen):
                yield words.looking(told.view, told.told)
            elif isinstance(told, Failed):
                yield words.said(f"{told.message} {told.hint}")

    async def asked(
        self, layers: list[Strokes], photo: str | None, model: str, reach: float, strength: float, several: bool,
        quality: str, count: int, request: gr.Request,
    ) -> AsyncIterator[Shown]:  # fmt: skip
        """The edit was asked for, or images without a photo."""
        key = uuid.uuid4().hex
        folder = self.desk.folder_of(key)
        with _told():
            if photo is None:
                raise GanEditError("no_photo", "There is no photo yet.", "Choose one, or try an example.")
            asked: Edit | Draw
            if photo:
                settings = EditSettings.from_dict({"reach": reach, "strength": strength, "quality": quality})
                strengths = weaker_and_stronger(settings.strength) if several else (settings.strength,)
                asked = Edit(Path(photo), layers, installed(model), settings, strengths, self.limits, folder)
            else:
                seed = secrets.randbelow(_SEEDS)  # drawn again, there are others
                wanted = ImagineSettings.from_dict({"candidates": min(int(count), MOST_IMAGES), "seed": seed})
                asked = Draw(layers, installed(model), wanted, folder)
            job = self.desk.take(visitor_of(request), key, asked.work)
            job.about = await asyncio.to_thread(Painting.kept, Path(photo) if photo else None, layers, folder)
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

    def chosen(self, key: str, request: gr.Request, picked: gr.SelectData) -> Shown:
        """Another one of those made is looked at."""
        with _told():
            made = _made(self.desk.find(visitor_of(request), key or ""))
            number = int(picked.index)
            return {self.pieces.chosen: number, **self._shown(made, number)}

    def _shown(self, made: Made, number: int) -> Shown:
        pieces, chosen = self.pieces, _candidate(made, number)
        pair = None if made.before is None else (str(made.before), str(chosen.shown))
        return {
            pieces.result: gr.update(value=pair, visible=pair is not None),
            pieces.download: gr.update(value=str(chosen.download), visible=True),
        }

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
                several = [(str(each.shown), each.name) for each in told.candidates]
                first = told.best
                yield {
                    **idle,
                    pieces.status: words.done(f"Done: {told.told}", _place(told), notices),
                    pieces.steps: gr.update(visible=False),  # who has come so far knows them
                    pieces.chosen: first,
                    pieces.candidates: gr.update(value=several, selected_index=first, visible=_has_candidates(told)),
                    pieces.onward: gr.update(visible=True),
                    **self._shown(told, first),
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


def _made(job: Job) -> Made:
    """What a job has made; GanEditError while that is nothing."""
    for _, told in job.after(0):
        if isinstance(told, Made):
            return told
    raise GanEditError("unknown_job", "There is no result yet.", "Wait until the job has ended.")


def _has_candidates(made: Made) -> bool:
    """Whether they are shown side by side: without a photo that is all there is to see."""
    return len(made.candidates) > 1 or made.before is None


def _place(made: Made) -> str:
    """The id of what shows it on the page."""
    return "candidates" if made.before is None else "result"


def _candidate(made: Made, number: int) -> Candidate:
    if not 0 <= number < len(made.candidates):
        raise GanEditError("unknown_job", "There is no such result.", "Choose one of those shown.")
    return made.candidates[number]


@contextmanager
def _told() -> Iterator[None]:
    """What goes wrong inside becomes a sentence on the page."""
    try:
        yield
    except GanEditError as error:
        told = advice.of_failure(error)
        raise _error(told.message, told.hint) from None


def _error(message: str, hint: str) -> gr.Error:
    return gr.Error(f"{message} {hint}".strip(), duration=None, title="That did not work", print_exception=False)


def _own_file(name: str) -> Path:
    """A place that nobody guesses, of which the page can show what is there."""
    folder = Path(os.environ["GRADIO_TEMP_DIR"]) / uuid.uuid4().hex
    folder.mkdir(parents=True)
    return folder / name
