"""What a batch is to do: a job for each photo of a folder, or for each line of a JSONL file."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import stat
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path, PurePath
from typing import Any

from gan_edit_engine.imaging.image_files import photo_files
from gan_edit_engine.library.models_folder import model_argument
from gan_edit_engine.system.printable import printable
from gan_edit_protocol.default_model import DEFAULT
from gan_edit_protocol.errors import GanEditError
from gan_edit_protocol.geometry import Crop
from gan_edit_protocol.settings import EditSettings, ProjectSettings

TASKS: dict[str, type[ProjectSettings]] = {
    "project": ProjectSettings,
    "edit": EditSettings,
    "evaluate": ProjectSettings,
}
_KINDS: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("photo", "task", "model", "scribble", "scribble_on", "mask", "output"), (str,)),
    "direction": (str, list),
    "amount": (int, float),
    "crop": (list,),
    "set": (dict,),
    "latents": (bool,),
}
"""What a line may say, as which kinds of JSON's values."""
_FORMAT = 1  # of the identities
_MOST_AMOUNT = 10  # as of InterpolateSettings
_SHOWN = 5  # bad lines that are told of


@dataclass(frozen=True)
class Wanted:
    """What is asked for a photo, on the command line for all, in a line of a file for one.

    ``scribble`` lies on the photo, or is carried to it: from the photo ``scribble_on``, or, where it is ``canonical``,
    from the model's square. So does the ``mask``. ``direction``: one file with a difference of latents, or two latents
    of which it is the difference; ``amount`` times it is added. ``crop``: where the model looks, if not at the face.
    ``settings``: by name, as ``--set`` takes them. ``latents``: whether latents are written; None: of projections.
    """

    task: str = "project"
    model: str = DEFAULT
    scribble: Path | None = None
    scribble_on: Path | None = None
    canonical: bool = False
    mask: Path | None = None
    direction: tuple[Path, ...] = ()
    amount: float = 1.0
    crop: Crop | None = None
    settings: tuple[str, ...] = ()
    latents: bool | None = None

    def check(self) -> None:
        """GanEditError (bad_job) when it asks for nothing that there is, or for too much."""
        if self.task not in TASKS:
            raise _bad(f"There is no task {printable(repr(self.task))}.", f"The tasks are {', '.join(TASKS)}.")
        if self.task == "edit" and (self.scribble is None) == (not self.direction):
            raise _bad("An edit needs a scribble or a direction, and not both.", "Give one of them.")
        if self.task != "edit" and (self.scribble is not None or self.direction):
            raise _bad(f"The task {self.task} takes no scribble and no direction.", "They belong to the task edit.")
        if self.task == "evaluate" and self.mask is not None:
            raise _bad("The task evaluate takes no mask.", "Leave it out: all that the model sees is compared.")
        if not abs(self.amount) <= _MOST_AMOUNT:
            raise _bad(f"The amount {self.amount:g} is not between -{_MOST_AMOUNT} and {_MOST_AMOUNT}.")
        if len(self.direction) > 2:
            raise _bad("A direction is one file, or leads from one latent to another.", "Give one or two files.")

    @cached_property
    def checked_settings(self) -> ProjectSettings:
        """Those of the task; SettingError when one is wrong."""
        # A batch's projections would drive out those that are kept for somebody's next edit.
        return TASKS[self.task].from_assignments(list(self.settings), cache=False)

    @property
    def carried(self) -> bool:
        """Whether scribble and mask are of another picture than the photo."""
        return self.canonical or self.scribble_on is not None

    @property
    def with_latents(self) -> bool:
        """Whether the latent is written beside the picture."""
        return self.task == "project" if self.latents is None else self.latents

    @cached_property
    def identity(self) -> str:
        """Tells apart what makes another result of the same photo; files count by their content."""
        files = {
            name: [_digest(path, *_stamp(path)) for path in paths]
            for name, paths in (
                ("scribble", _listed(self.scribble)),
                ("scribble_on", _listed(self.scribble_on)),
                ("mask", _listed(self.mask)),
                ("direction", self.direction),
            )
        }
        plain = {
            "task": self.task,
            "model": self.model,
            "canonical": self.canonical,
            "amount": self.amount if self.direction else None,
            "crop": None if self.crop is None else dataclasses.asdict(self.crop),
            "settings": dataclasses.asdict(self.checked_settings),
            "latents": self.with_latents,
        }
        text = json.dumps([_FORMAT, plain, files], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Job:
    """One photo: ``name`` is what the report calls it; ``output`` the picture's name in the batch's folder."""

    photo: Path
    name: str
    output: str
    wanted: Wanted

    @property
    def stamp(self) -> list[int]:
        """Size and time of the photo's file, which change when it does; zeros where there is none."""
        return list(_stamp(self.photo))


def jobs_of(source: Path, wanted: Wanted) -> list[Job]:
    """Those of a folder, for all of whose photos ``wanted`` holds, or of a JSONL file, whose lines say what differs.

    GanEditError when there are none, or when a line is wrong, which it names.
    """
    return _of_folder(source, wanted) if source.is_dir() else _of_lines(source, wanted)


def check_apart(jobs: Sequence[Job], folder: Path) -> None:
    """GanEditError (bad_output) when a result would take the place of a photo, of this batch or another folder's."""
    there = os.path.realpath(folder)
    for job in jobs:
        if os.path.realpath(job.photo) == os.path.join(there, job.output):
            raise GanEditError(
                "bad_output", f"The photo {job.photo} would be replaced by its result.", "Give another --output."
            )


def _of_folder(folder: Path, wanted: Wanted) -> list[Job]:
    if wanted.scribble is not None and wanted.scribble_on is None:
        wanted = dataclasses.replace(wanted, canonical=True)
    wanted = dataclasses.replace(wanted, model=model_argument(wanted.model))
    wanted.check()
    files = photo_files(folder)
    # Of a.jpg and a.png each keeps its whole name.
    alike = Counter(name.casefold() for file in files for name in (file.stem, file.name))
    names = (file.stem if alike[file.stem.casefold()] == 1 else file.name for file in files)
    return [Job(file, file.name, f"{name}.png", wanted) for file, name in zip(files, names, strict=True)]


def _of_lines(source: Path, wanted: Wanted) -> list[Job]:
    jobs: list[Job] = []
    wrong: list[str] = []
    seen: dict[str, int] = {}
    for number, line in _lines(source):
        try:
            job = _of_line(line, source.parent, wanted)
            if (first := seen.setdefault(job.output.casefold(), number)) != number:
                raise _bad(f"Line {first} writes {printable(job.output)} already.", 'Give it an "output" of its own.')
            jobs.append(job)
        except GanEditError as error:
            wrong.append(f"Line {number} of {source}: {error}")
    if wrong:
        more = [f"And {len(wrong) - _SHOWN} more lines are wrong."] if len(wrong) > _SHOWN else []
        raise GanEditError("bad_job", "\n".join([*wrong[:_SHOWN], *more]))
    if not jobs:
        raise GanEditError("no_photos", f"There are no jobs in {source}.", 'Write lines such as {"photo": "a.jpg"}.')
    return jobs


def _lines(source: Path) -> Iterator[tuple[int, str]]:
    """Those that are not empty, with their numbers from 1."""
    try:
        with source.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield number, line
    except UnicodeDecodeError:
        raise GanEditError("bad_job", f"{source} is no text of UTF-8.", "Write one JSON object a line.") from None
    except OSError as error:
        raise GanEditError("no_photos", f"{source} cannot be read ({error.strerror}).", "Check its name.") from None


def _of_line(line: str, folder: Path, wanted: Wanted) -> Job:
    said = _read(line)
    photo = said.get("photo")
    if not photo:
        raise _bad("It names no photo.", 'Write {"photo": "a.jpg"}.')
    if "scribble" in said and "scribble_on" not in said:
        # It lies on the line's own photo, as that of gan-edit edit does.
        wanted = dataclasses.replace(wanted, scribble_on=None, canonical=False)
    elif wanted.scribble is not None and "scribble_on" not in said and wanted.scribble_on is None:
        wanted = dataclasses.replace(wanted, canonical=True)
    changes: dict[str, Any] = {name: said[name] for name in ("task", "amount", "latents") if name in said}
    changes |= {name: folder / said[name] for name in ("scribble", "scribble_on", "mask") if name in said}
    changes["model"] = _model(said.get("model", wanted.model))
    if "direction" in said:
        files = said["direction"] if isinstance(said["direction"], list) else [said["direction"]]
        if not all(isinstance(file, str) for file in files):
            raise _bad('"direction" is a file\'s name, or a list of two.')
        changes["direction"] = tuple(folder / file for file in files)
    if "crop" in said:
        changes["crop"] = _crop(said["crop"])
    changes["settings"] = (*wanted.settings, *(f"{name}={_text(value)}" for name, value in said.get("set", {}).items()))
    chosen = dataclasses.replace(wanted, **changes)
    chosen.check()
    chosen.checked_settings  # noqa: B018 - what is wrong with them is of this line
    return Job(folder / photo, photo, _output(said.get("output", PurePath(photo).stem)), chosen)


def _read(line: str) -> dict[str, Any]:
    try:
        said = json.loads(line)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        raise _bad("It is no JSON object.", 'Write {"photo": "a.jpg"}.')
    for name, value in said.items():
        if name not in _KINDS:
            raise _bad(f"Nothing is called {printable(repr(name))}.", f"There are {', '.join(_KINDS)}.")
        if not isinstance(value, _KINDS[name]) or (isinstance(value, bool) and bool not in _KINDS[name]):
            raise _bad(f'"{name}" has no value of its kind.')
        if isinstance(value, str) and not _is_possible(value):
            raise _bad(f'"{name}" holds a character that no name has.')
    return said


def _is_possible(name: str) -> bool:
    """Whether a file can be called so."""
    try:
        return b"\0" not in os.fsencode(name)
    except UnicodeEncodeError:
        return False


def _crop(values: list[Any]) -> Crop:
    numbers = [float(value) for value in values if type(value) in (int, float) and abs(value) < float("inf")]
    if len(numbers) != len(values) or len(values) not in (3, 4):
        raise _bad('"crop" is [CX, CY, SIZE] or [CX, CY, SIZE, ANGLE].')
    return Crop(*numbers)


def _output(name: str) -> str:
    path = PurePath(name)
    if not path.name or path.is_absolute() or len(path.parts) != 1 or name in ("", ".", "..") or name.startswith("."):
        raise _bad(f'"output" {printable(repr(name))} is no name of a file in the batch\'s folder.')
    return name if path.suffix.lower() == ".png" else f"{name}.png"


@cache
def _model(name: str) -> str:
    return model_argument(name)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _listed(path: Path | None) -> tuple[Path, ...]:
    return () if path is None else (path,)


def _stamp(path: Path) -> tuple[int, int]:
    try:
        about = path.stat()
    except (OSError, ValueError):
        return 0, 0
    return (about.st_size, about.st_mtime_ns) if stat.S_ISREG(about.st_mode) else (0, 0)


@cache
def _digest(path: Path, size: int, changed: int) -> str:
    """Of the content of a file; empty where there is none that can be read."""
    if not (size or changed):
        return ""
    try:
        with path.open("rb") as file:
            digest = hashlib.sha256()
            while block := file.read(1 << 20):
                digest.update(block)
            return digest.hexdigest()
    except OSError:
        return ""


def _bad(message: str, hint: str = "") -> GanEditError:
    return GanEditError("bad_job", message, hint)
