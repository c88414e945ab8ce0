"""The finders that came with the program, each a file: a new domain's finder is one more."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Protocol

from gan_edit_engine.checkpoints.foreign import HEAD
from gan_edit_engine.checkpoints.safetensors_file import is_safetensors
from gan_edit_engine.finding.domains import PEOPLE, kind_of
from gan_edit_engine.finding.people import PeopleFinder
from gan_edit_engine.finding.weights import load_finder, read_finding
from gan_edit_engine.imaging.crop import AnyImage
from gan_edit_engine.imaging.square import AlignPoints
from gan_edit_engine.library.catalogue import FFHQ_POINTS
from gan_edit_engine.library.models import model_info
from gan_edit_engine.library.models_folder import find_model
from gan_edit_protocol.geometry import Face

FOLDER = Path(__file__).parents[1] / "data"
PATTERN = "*-finder.safetensors"
PEOPLES_FILE = FOLDER / "human-face-yunet.onnx"


class FaceFinder(Protocol):
    """What finds things of one kind in a photo."""

    def find(self, photo: AnyImage, canonical: AlignPoints | None = None) -> list[Face]:
        """The faces, best first; ``canonical``: the align points of the model that is to edit them."""


@dataclass(frozen=True)
class ModelFinder:
    """Finds what one model knows. ``kind``: what that is, as "cat face".

    ``canonical``: the model's align points; None where it sees people as FFHQ does, by more than two points.
    """

    finder: FaceFinder
    kind: str
    canonical: AlignPoints | None

    def find(self, photo: AnyImage) -> list[Face]:
        """The faces, best first, each with the square in which this model sees it as it was trained to."""
        return self.finder.find(photo, self.canonical)


def finder_of_model(name_or_file: str) -> ModelFinder | None:
    """What finds the faces that a model knows; None when it needs no alignment, or nothing finds them.

    Models of people need none that their file names: they are aligned like FFHQ unless it names other points than
    FFHQ's. Files of other formats tell by their names alone whether they are of people, and nothing else.
    Raises GanEditError (unknown_model, bad_checkpoint) naming what is wrong.
    """
    path = find_model(name_or_file)
    with path.open("rb") as file:
        told = is_safetensors(file.read(HEAD))
    info = model_info(path) if told else None
    points = None if info is None else info.align_points
    kind = kind_of("", path.name) if info is None else kind_of(info.domain, f"{path.name} {info.provenance}")
    finder = finder_for(kind)
    if finder is None or (points is None and kind != PEOPLE):
        return None
    as_ffhq = kind == PEOPLE and points == FFHQ_POINTS
    return ModelFinder(finder, kind, None if as_ffhq else points)


def finder_for(domain: str, folder: Path = FOLDER) -> FaceFinder | None:
    """The finder of what a model's ``domain`` begins with ("cat face, eyes level …"); None when there is none."""
    kind = kind_of(domain, "")
    if kind == PEOPLE:
        return _people(PEOPLES_FILE)
    path = _paths(folder).get(kind)
    return None if path is None else _loaded(path)


@cache
def _paths(folder: Path) -> dict[str, Path]:
    return {kind_of(read_finding(path).domain, ""): path for path in sorted(folder.glob(PATTERN))}


_loaded = lru_cache(maxsize=None)(load_finder)
_people = lru_cache(maxsize=None)(PeopleFinder)
