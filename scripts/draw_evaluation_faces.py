#!/usr/bin/env python3
"""Draw the evaluation faces once: photos that no training may see, chosen so that no other photo resembles them.

The set of cat faces holds several shots of one cat; a photo is drawn only if its closest other photo (also mirrored)
stays below a correlation of 0.9 at 16 x 16 grey pixels, so that leaving it out really keeps it unseen.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from gan_edit_engine.training.photos import PhotoSource

SIDE = 16
CLOSEST_ALLOWED = 0.9


def thumbnails(source: PhotoSource) -> np.ndarray:
    """Grey thumbnails [N, SIDE, SIDE] of every photo, each with mean 0 and length 1."""
    grey = [source.open(name).convert("L").resize((SIDE, SIDE), resample=4) for name in source.names]
    pixels = np.stack([np.asarray(g, dtype=np.float32) for g in grey])
    pixels -= pixels.mean(axis=(1, 2), keepdims=True)
    return pixels / np.linalg.norm(pixels, axis=(1, 2), keepdims=True)


def closest_other(thumbs: np.ndarray) -> np.ndarray:
    """Correlation [N] of each thumbnail with its nearest other one, mirror images included."""
    flat = thumbs.reshape(len(thumbs), -1)
    mirrored = thumbs[:, :, ::-1].reshape(len(thumbs), -1)
    likeness = np.maximum(flat @ flat.T, flat @ mirrored.T)
    np.fill_diagonal(likeness, -1)
    return likeness.max(axis=1)


def main(
    photos: Annotated[Path, typer.Argument(help="Zip file or folder of the faces.")],
    prefix: Annotated[str, typer.Option(help="Only photos whose name begins so are drawn.")] = "128/",
    count: Annotated[int, typer.Option(min=1)] = 100,
    seed: Annotated[int, typer.Option()] = 2026,
) -> None:
    """Print the drawn names, one a line."""
    source = PhotoSource(photos)
    alone = closest_other(thumbnails(source)) < CLOSEST_ALLOWED
    eligible = [name for name, ok in zip(source.names, alone, strict=True) if ok and name.startswith(prefix)]
    drawn = np.random.default_rng(seed).choice(eligible, size=count, replace=False)
    print("\n".join(sorted(drawn)))
    print(f"{len(eligible)} of {len(source.names)} photos could be drawn.", file=sys.stderr)


if __name__ == "__main__":
    typer.run(main)
