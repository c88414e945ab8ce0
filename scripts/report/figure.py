"""What an experiment hands to the page: pictures in rows, numbers, curves, and findings in words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from gan_edit_engine.imaging.crop import from_unit
from gan_edit_engine.imaging.view import to_colours
from report.bench import Trial

Pixels = NDArray[np.uint8]

CELL = 192  # pixels: the side in which a model's image is shown
# Smaller differences than these are not called differences.
TIE_LPIPS = 0.005
TIE_DB = 0.25


@dataclass(frozen=True)
class Cell:
    """A picture [H, W, 3] under a ``label``, with its figures in ``note``."""

    label: str
    pixels: Pixels
    note: str = ""


@dataclass(frozen=True)
class Row:
    """Pictures of one size, side by side."""

    caption: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Table:
    """Texts in columns; numbers are formatted already."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Finding:
    """One sentence on the report: it ``agrees`` or not; None where the report claims nothing."""

    agrees: bool | None
    text: str


@dataclass(frozen=True)
class Figure:
    """One figure of the report. ``name`` begins its files and is its key in the JSON; ``numbers`` go there."""

    name: str
    title: str
    about: str
    rows: tuple[Row, ...]
    findings: tuple[Finding, ...]
    numbers: Any
    table: Table | None = None
    charts: tuple[str, ...] = ()
    # Frames [N, H, W, 3] of an animation with its caption.
    animation: tuple[str, Pixels] | None = None


def shown(image: Tensor) -> Pixels:
    """The first of images [N, C, R, R] in −1..1 as [CELL, CELL, 3], enlarged by cubic interpolation."""
    pixels = from_unit(to_colours(image), np.dtype(np.uint8))
    way = cv2.INTER_CUBIC if len(pixels) <= CELL else cv2.INTER_AREA
    return np.asarray(cv2.resize(pixels.astype(np.uint8), (CELL, CELL), interpolation=way), dtype=np.uint8)


def trial_row(caption: str, trials: Sequence[Trial]) -> Row:
    """The target of ``trials``, then what each setting made of it."""
    target = Cell("the target", shown(trials[0].target.subject.image))
    cells = [Cell(t.setting, shown(t.inversion.image), note(t)) for t in trials]
    return Row(caption, (target, *cells))


def trial_rows(trials: Sequence[Trial]) -> tuple[Row, ...]:
    """A row for each target that may be shown."""
    rows = []
    for name in dict.fromkeys(t.target.name for t in trials if t.target.shown):
        rows.append(trial_row(name, [t for t in trials if t.target.name == name]))
    return tuple(rows)


def note(trial: Trial) -> str:
    """The trial's figures in one line."""
    return f"{trial.score.psnr:.1f} dB · LPIPS {trial.score.lpips:.3f}"


def trial_numbers(trials: Sequence[Trial]) -> list[dict[str, Any]]:
    """All figures of all trials for the JSON."""
    return [{"setting": t.setting, **asdict(t.score)} for t in trials]


def mean_of(trials: Sequence[Trial], figure: str) -> dict[str, float]:
    """The mean of a figure of `Score` over the photos, for each setting."""
    found = {}
    for setting in dict.fromkeys(t.setting for t in trials):
        values = [getattr(t.score, figure) for t in trials if t.setting == setting and t.target.photo]
        found[setting] = math.fsum(values) / len(values)
    return found


def listed(values: Mapping[str, float], form: str, unit: str = "") -> str:
    """Numbers with their settings: "1.0 dB (a), 2.0 dB (b)"."""
    return ", ".join(f"{value:{form}}{unit} ({name})" for name, value in values.items())


def mean_table(trials: Sequence[Trial], first: str) -> Table:
    """Means over the photos, a row for each setting."""
    columns = [mean_of(trials, figure) for figure in ("psnr", "ssim", "lpips", "seconds")]
    rows = []
    for setting in columns[0]:
        psnr, ssim, lpips, seconds = (column[setting] for column in columns)
        rows.append((setting, f"{psnr:.2f}", f"{ssim:.3f}", f"{lpips:.3f}", f"{seconds:.1f}"))
    return Table((first, "PSNR, dB", "SSIM", "LPIPS", "seconds"), tuple(rows))
