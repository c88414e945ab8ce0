"""One photo of a batch, from its file to its result's: what the single commands do, with what the photos share."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, fields
from functools import lru_cache
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from gan_edit_engine.batch.contact import keep_thumbnail, thumbnail
from gan_edit_engine.batch.direction import drawn_with, moved, read_direction
from gan_edit_engine.batch.gate import Gate
from gan_edit_engine.batch.jobs import Job, Wanted
from gan_edit_engine.batch.painting import Paintings, square_of
from gan_edit_engine.batch.report import Line, check_writable
from gan_edit_engine.imaging import image_files
from gan_edit_engine.imaging.arrays import from_message, to_message
from gan_edit_engine.imaging.crop import WHITE, Crop, Image, Mask, from_unit, to_unit
from gan_edit_engine.imaging.cutting import Scene, cut, laid_on
from gan_edit_engine.imaging.image_files import Picture
from gan_edit_engine.imaging.latent_files import write_latent
from gan_edit_engine.imaging.looking import Looking, Sight, find_faces, find_place
from gan_edit_engine.imaging.preflight import check_painted
from gan_edit_protocol import geometry
from gan_edit_protocol.client import Client
from gan_edit_protocol.errors import GanEditError, JobFailedError
from gan_edit_protocol.events import Notice, ResultReady
from gan_edit_protocol.geometry import Align
from gan_edit_protocol.latent import Latent
from gan_edit_protocol.requests import EditRequest, LookRequest, ProjectRequest, RandomRequest
from gan_edit_protocol.settings import EditSettings, ProjectSettings

Judge = Callable[[Image, Image], dict[str, float]]
"""Further figures of the model's image [R, R, 3] in 0..1 against what it is of; may be called by several threads."""

_COPIES = 4
"""Of a photo's pixels that are there at once: itself, scribble and mask, the result, and its file."""
_KEPT = 8  # directions
_MOST_BYTES = 2 << 30
"""Of the pixels of all photos that are open; one alone may take more."""


@dataclass
class Made:
    """What became of a photo: the ``picture``, its ``latent``, and what the report tells besides.

    ``square``: where the model looked, if not at the whole; ``alone``: the picture is that square's, not the photo's.
    """

    picture: Picture
    latent: Latent
    about: Line
    square: geometry.Crop | None = None
    alone: bool = False


@dataclass
class _Sitting:
    """A photo while it is worked on."""

    job: Job
    picture: Picture
    client: Client
    cancelled: Callable[[], bool]
    notes: list[str] = field(default_factory=list)

    @property
    def wanted(self) -> Wanted:
        return self.job.wanted

    def hear(self, event: Any) -> None:
        if isinstance(event, Notice):
            self.notes.append(str(event))


class Studio:
    """Makes photos' results in ``folder``. ``judge``: for the task evaluate. For several threads."""

    def __init__(self, folder: Path, judge: Judge | None = None) -> None:
        self._folder = folder
        self._judge = judge
        self._room = Gate(_MOST_BYTES)
        self._paintings = Paintings()
        self._directions = lru_cache(_KEPT)(read_direction)
        self._resolutions: dict[str, int] = {}
        self._lock = threading.Lock()

    def check(self, jobs: Sequence[Job], wanted: Wanted, client: Client, cancelled: Callable[[], bool]) -> None:
        """Before any photo: GanEditError when what all share is wrong, a model or what the command line ``wanted``."""
        for model in dict.fromkeys(job.wanted.model for job in jobs):
            _check_model(model, client)
        if wanted.direction:
            self._directions(wanted.direction)
        shared = next(
            (job.wanted for job in jobs if job.wanted.carried and job.wanted.scribble == wanted.scribble), None
        )
        if shared is not None:
            self._paintings.of(shared, client, lambda event: None, cancelled)

    def make(
        self,
        job: Job,
        clients: Callable[[], Client],
        at_engine: Callable[[], AbstractContextManager[None]],
        cancelled: Callable[[], bool],
    ) -> Line:
        """Make a job's files and return what the report tells of it; GanEditError when that is impossible.

        ``at_engine``: inside, the engine is asked.
        """
        if job.photo.exists() and not job.photo.is_file():
            raise GanEditError("bad_image", f"{job.photo} is no file.", "Check its name.")
        stamp = job.stamp  # of what is read, however the file changes meanwhile
        with self._room.passed(_COPIES * image_files.pixel_bytes(job.photo), cancelled):
            picture = image_files.read_picture(job.photo)
            with at_engine(), clients() as client:
                sitting = _Sitting(job, picture, client, cancelled)
                made = self._made(sitting)
            try:
                return {"stamp": stamp, **self._kept(job, picture, made, sitting.notes)}
            except GanEditError:
                check_writable(self._folder)
                raise

    def has_files(self, job: Job) -> bool:
        """Whether what was made of the job is there."""
        wanted = [job.output, *([_latent_name(job)] if job.wanted.with_latents else [])]
        return all((self._folder / name).is_file() for name in wanted)

    def _made(self, sitting: _Sitting) -> Made:
        task, wanted = sitting.wanted.task, sitting.wanted
        if task == "evaluate":
            return self._evaluated(sitting)
        if task == "project":
            return self._projected(sitting)
        return self._moved(sitting) if wanted.direction else self._edited(sitting)

    def _kept(self, job: Job, picture: Picture, made: Made, notes: list[str]) -> Line:
        """Write the files, the picture last."""
        latent = _latent_name(job) if job.wanted.with_latents else None
        if latent is not None:
            write_latent(self._folder / latent, made.latent)
        keep_thumbnail(thumbnail(self._folder, job.output), picture, made.picture, made.square, made.alone)
        image_files.write_png(self._folder / job.output, made.picture)
        square = None if made.square is None else asdict(made.square)
        return {"task": job.wanted.task, **made.about, "latent": latent, "crop": square, "notes": notes}

    # --- the tasks -------------------------------------------------------------------------------------------------

    def _projected(self, sitting: _Sitting) -> Made:
        wanted, picture = sitting.wanted, sitting.picture
        mask = _read_mask(wanted, picture)
        looking = self._place(sitting, mask)
        result = self._projection(sitting, looking, mask, wanted.checked_settings)
        return Made(laid_on(picture, result), result.latent, _about(result, looking), looking.crop)

    def _projection(
        self, sitting: _Sitting, looking: Looking, mask: Mask | None, settings: ProjectSettings
    ) -> ResultReady:
        scene = Scene(sitting.picture.pixels, mask, sitting.wanted.model, None, looking.crop)
        part = cut(scene, sitting.client, sitting.hear)
        request = ProjectRequest(
            part.photo, part.mask, scene.model, None, scene.crop, settings=settings, place=part.place
        )
        return sitting.client.run(request, sitting.hear, sitting.cancelled)

    def _edited(self, sitting: _Sitting) -> Made:
        wanted, picture, settings = sitting.wanted, sitting.picture, sitting.wanted.checked_settings
        assert isinstance(settings, EditSettings)
        assert wanted.scribble is not None  # as was checked
        if wanted.carried:
            painting = self._paintings.of(wanted, sitting.client, sitting.hear, sitting.cancelled)
            looking = self._face(sitting)
            assert looking.crop is not None
            strokes, mask = painting.laid(picture, looking.crop)
        else:
            strokes, mask = image_files.read_scribble(wanted.scribble, picture), _read_mask(wanted, picture)
            check_painted(strokes, mask)
            looking = self._place(sitting, strokes[..., 3] if mask is None else mask)
        scene = Scene(picture.pixels, mask, wanted.model, None, looking.crop, strokes)
        part = cut(scene, sitting.client, sitting.hear, settings.feather)
        assert part.scribble is not None  # the scene has one
        request = EditRequest(
            part.photo, part.scribble, part.mask, scene.model, None, scene.crop, settings=settings, place=part.place
        )
        result = sitting.client.run(request, sitting.hear, sitting.cancelled)
        return Made(laid_on(picture, result), result.latent, _about(result, looking), looking.crop)

    def _moved(self, sitting: _Sitting) -> Made:
        wanted, picture, settings = sitting.wanted, sitting.picture, sitting.wanted.checked_settings
        assert isinstance(settings, EditSettings)
        direction, mask = self._directions(wanted.direction), _read_mask(wanted, picture)
        looking = self._face(sitting)
        assert looking.crop is not None
        searched = ProjectSettings(**{each.name: getattr(settings, each.name) for each in fields(ProjectSettings)})
        result = self._projection(sitting, looking, mask, searched)
        request = drawn_with(result.latent.ws, direction, wanted.amount, wanted.model, settings.class_label)
        drawn = sitting.client.run(request, sitting.hear, sitting.cancelled)
        latent = result.latent.moved_to(drawn.latents.parts()[-1])
        laid = moved(picture, mask, looking.crop, drawn, settings)
        return Made(laid, latent, _about(result, looking), looking.crop)

    def _evaluated(self, sitting: _Sitting) -> Made:
        assert self._judge is not None  # who asks for the task brings it
        wanted, pixels = sitting.wanted, sitting.picture.pixels
        looking = self._face(sitting)
        assert looking.crop is not None
        # The model's own square travels, so that what comes back is its very image.
        crop = Crop.of_square(looking.crop, self._resolution(sitting))
        square = from_unit(crop.extract(pixels) / np.float32(WHITE[pixels.dtype.name]), pixels.dtype)
        request = ProjectRequest(to_message(square), model=wanted.model, settings=wanted.checked_settings)
        result = sitting.client.run(request, sitting.hear, sitting.cancelled)
        image = from_message(result.image)
        figures = self._judge(to_unit(square[..., :3]), to_unit(image[..., :3]))
        picture = Picture(image, sitting.picture.profile)
        return Made(picture, result.latent, {**_about(result, looking), **figures}, looking.crop, alone=True)

    # --- where the model looks -------------------------------------------------------------------------------------

    def _place(self, sitting: _Sitting, marked: Mask | None) -> Looking:
        """As the single commands look: where there is no face, around what is marked, or at the whole photo."""
        wanted = sitting.wanted
        if wanted.crop is not None:
            return Looking(crop=wanted.crop)
        sight = Sight(sitting.picture.pixels, marked, wanted.model, selected=wanted.mask is not None)
        return find_place(sight, sitting.client, sitting.hear, sitting.cancelled)

    def _face(self, sitting: _Sitting) -> Looking:
        """At the face, and nowhere else where the model's are known; GanEditError (no_face) when there is none."""
        wanted, pixels = sitting.wanted, sitting.picture.pixels
        if wanted.crop is not None:
            return Looking(crop=wanted.crop)
        found = find_faces(Sight(pixels, None, wanted.model), sitting.client, sitting.hear, sitting.cancelled)
        height, width = pixels.shape[:2]
        return Looking(crop=square_of(found, height, width, sitting.job.name), face=found.face)

    def _resolution(self, sitting: _Sitting) -> int:
        """The side of the model's images, which the engine alone knows."""
        model = sitting.wanted.model
        with self._lock:
            if model not in self._resolutions:
                drawn = sitting.client.run(RandomRequest(model), sitting.hear, sitting.cancelled)
                self._resolutions[model] = drawn.image.shape[0]
            return self._resolutions[model]


def _check_model(name: str, client: Client) -> None:
    """GanEditError when the engine has none of this name."""
    try:
        client.look(LookRequest(64, 64, name, align=Align(16, 32, 48, 32)))
    except JobFailedError as error:
        if error.code != "no_alignment":
            raise


def _about(result: ResultReady, looking: Looking) -> Line:
    names = ("seconds", "steps", "psnr", "model", "device", "perceptual", "seed")
    return {
        **{name: getattr(result, name) for name in names},
        "face": None if looking.face is None else looking.face.score,
    }


def _read_mask(wanted: Wanted, picture: Picture) -> Mask | None:
    return None if wanted.mask is None else image_files.read_mask(wanted.mask, picture)


def _latent_name(job: Job) -> str:
    return f"{PurePath(job.output).stem}.safetensors"
