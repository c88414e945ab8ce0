"""The finders that came with the program, each a file: a new domain's finder is one more."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

from gan_edit_engine.checkpoints.foreign import HEAD
from gan_edit_engine.checkpoints.safetensors_file import is_safetensors
from gan_edit_engine.finding.find import Face, Finder
from gan_edit_engine.finding.weights import load_finder, read_finding
from gan_edit_engine.imaging.crop import AnyImage
from gan_edit_engine.imaging.square import AlignPoints
from gan_edit_engine.library.models import model_info
from gan_edit_engine.library.models_folder import find_model

FOLDER = Path(__file__).parents[1] / "data"
PATTERN = "*-finder.safetensors"


@dataclass(frozen=True)
class ModelFinder:
    """Finds what one model knows. ``kind``: what that is, as "cat face"; ``canonical``: the model's align points."""

    finder: Finder
    kind: str
    canonical: AlignPoints

    def find(self, photo: AnyImage) -> list[Face]:
        """The faces, best first, each with the square in which this model sees it as it was trained to."""
        return self.finder.find(photo, self.canonical)


def finder_of_model(name_or_file: str) -> ModelFinder | None:
    """What finds the faces that a model knows; None when it needs no alignment, or nothing finds them.

    Raises GanEditError (unknown_model, bad_checkpoint) naming what is wrong.
    """
    path = find_model(name_or_file)
    with path.open("rb") as file:
        if not is_safetensors(file.read(HEAD)):
            return None  # other formats tell neither domain nor align points
    info = model_info(path)
    finder = finder_for(info.domain)
    if finder is None or info.align_points is None:
        return None
    return ModelFinder(finder, _kind(info.domain), info.align_points)


def finder_for(domain: str, folder: Path = FOLDER) -> Finder | None:
    """The finder of what a model's ``domain`` begins with ("cat face, eyes level …"); None when there is none."""
    path = _paths(folder).get(_kind(domain))
    return None if path is None else _loaded(path)


def _kind(domain: str) -> str:
    return domain.split(",")[0].strip().casefold()


@cache
def _paths(folder: Path) -> dict[str, Path]:
    return {_kind(read_finding(path).domain): path for path in sorted(folder.glob(PATTERN))}


_loaded = lru_cache(maxsize=None)(load_finder)
