"""The training set: every photo of a folder or zip file, squared, scaled once and kept as bytes."""

from __future__ import annotations

import zipfile
from collections.abc import Collection
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from gan_edit_engine.imaging.image_formats import decoding, open_image
from gan_edit_protocol.errors import SettingError

# Files of .bmp are refused by name, not passed over in silence.
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")


class PhotoSource:
    """A folder (searched in depth) or a zip file of images; names are paths relative to it, in sorted order."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            raise SettingError(f"There is no folder or zip file {path}.", "Name the one that holds the photos.")
        self.path = path
        self._zip = None if path.is_dir() else _open_zip(path)
        found = self._zip.namelist() if self._zip else [p.relative_to(path).as_posix() for p in path.rglob("*")]
        self.names = sorted(n for n in found if n.lower().endswith(SUFFIXES))

    def open(self, name: str) -> Image.Image:
        """The photo in RGB; GanEditError (bad_image) names a file that is no readable image."""
        full_name = str(self.path / name)
        with decoding(full_name):
            data = self._zip.read(name) if self._zip else Path(full_name).read_bytes()
            return open_image(data, full_name).convert("RGB")


def _open_zip(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        raise SettingError(f"{path} is neither a folder nor a zip file.", "Name the one with the photos.") from error


def square_pixels(image: Image.Image, resolution: int) -> np.ndarray:
    """The centre square of an image, area-averaged to [3, resolution, resolution] bytes."""
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    box = (left, top, left + side, top + side)
    scaled = image.resize((resolution, resolution), Image.Resampling.BOX, box=box)
    return np.asarray(scaled).transpose(2, 0, 1)


def load_photos(source: PhotoSource, resolution: int, exclude: Collection[str] = ()) -> Tensor:
    """All photos at least ``resolution`` pixels wide and high, [N, 3, resolution, resolution] uint8.

    Smaller ones are left out (enlarging would teach blur), and so are the names in ``exclude``.
    """
    left_out = set(exclude)
    unknown = sorted(left_out - set(source.names))
    if unknown:
        raise SettingError(f"{len(unknown)} photos to keep out are not in {source.path}, first {unknown[0]}.")
    images = (source.open(name) for name in source.names if name not in left_out)
    pixels = [square_pixels(image, resolution) for image in images if min(image.size) >= resolution]
    if not pixels:
        raise SettingError(f"{source.path} holds no photo of at least {resolution} pixels.", "Lower the resolution.")
    return torch.from_numpy(np.stack(pixels))


def read_names(path: Path) -> list[str]:
    """One name a line; empty lines and lines that start with # do not count."""
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def draw_photos(photos: Tensor, start: int, count: int, seed: int) -> Tensor:
    """Photos number start .. start + count of an endless shuffled sequence, float in -1..1.

    Each pass over the set has its own order, a function of ``seed`` and the pass alone, so that a run continued at
    ``start`` sees what an uninterrupted one would have seen, whatever the batch sizes were.
    """
    total = len(photos)
    positions = np.arange(start, start + count)
    picked = np.empty(count, dtype=np.int64)
    for epoch in np.unique(positions // total):
        order = np.random.default_rng([seed, int(epoch)]).permutation(total)
        here = positions // total == epoch
        picked[here] = order[positions[here] % total]
    return photos[torch.from_numpy(picked).to(photos.device)].float() / 127.5 - 1


def flip_randomly(images: Tensor) -> Tensor:
    """Mirror each image of [N, C, H, W] with probability one half (torch's global generator)."""
    mirrored = torch.rand(len(images), 1, 1, 1, device=images.device) < 0.5
    return torch.where(mirrored, images.flip(3), images)
