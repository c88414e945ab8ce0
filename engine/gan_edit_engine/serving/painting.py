"""What was painted on the page: Gradio's image editor with two layers, one of colours and one of what may change."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import gradio as gr
import numpy as np
from gradio.components.base import server
from gradio.components.image_editor import AcceptBlobs, EditorData, EditorDataBlobs
from numpy.typing import NDArray
from PIL import Image

from gan_edit_engine.imaging.crop import AnyImage, reduced
from gan_edit_engine.imaging.image_files import Picture, to_8_bit
from gan_edit_engine.imaging.image_formats import decoding
from gan_edit_protocol.errors import GanEditError

LAYERS = ("Colours", "Selection")
VIEW_SIDE = 1024
"""The longer side of what is painted on; the photo itself stays as it came."""
_KEPT_BLOBS = 32
_BRUSH = 12  # pixels
_PAINTED = 128
_SELECTED = 8

BLANK = np.full((512, 512, 3), 236, np.uint8)
"""What is painted on where there is no photo: light, and yet white paint is seen on it."""
COLOURS = ["#2f7fd8", "#3aa655", "#d8352f", "#f0b429", "#8e4ec6", "#f5f0e6", "#8a5a33", "#1c1c1e"]

Strokes = NDArray[np.uint8]


@dataclass(frozen=True)
class Painting:
    """What a visitor has painted, in files, so that a page that is loaded again shows it; no ``photo``: on a blank."""

    photo: Path | None
    layers: tuple[Path, ...]

    @classmethod
    def kept(cls, photo: Path | None, layers: list[Strokes], folder: Path) -> Painting:
        """Written to ``folder``, which is made."""
        folder.mkdir(parents=True, exist_ok=True)
        files = [folder / f"{name}.png" for name in LAYERS[: len(layers)]]
        for file, layer in zip(files, layers, strict=True):
            Image.fromarray(layer).save(file, compress_level=1)
        return cls(photo, tuple(files))


def photo_editor(**options: Any) -> gr.ImageEditor:
    """Of a visitor's painting only the layers are read, and no more of them than was painted on.

    What an event gets of it is a list of [H, W, 4] uint8. Nothing but its value may be updated: Gradio would make
    another one, that reads everything. (And of a class of its own it would write a file beside this one.)
    """
    editor = gr.ImageEditor(
        type="numpy",
        format="png",
        sources=(),
        transforms=(),
        layers=gr.LayerOptions(allow_additional_layers=False, layers=list(LAYERS)),
        brush=gr.Brush(default_size=_BRUSH, colors=list(COLOURS), default_color=COLOURS[0]),
        interactive=True,
        **options,
    )
    editor.blob_storage = _Newest()
    take_blob = editor.accept_blobs

    @server
    def accept_blobs(data: AcceptBlobs) -> None:
        # The editor sends each of its pictures by itself; those of the photo are not needed.
        if data.data["type"] == "layer" and str(data.data["index"]) in map(str, range(len(LAYERS))):
            take_blob(data)

    def preprocess(payload: EditorData | None) -> Any:
        if payload is None:
            return []
        given: Any = payload if payload.id is None else editor.blob_storage.pop(payload.id, None)
        with decoding("what was painted"):
            return [] if given is None else [_opened(layer) for layer in given.layers[: len(LAYERS)] if layer]

    editor.accept_blobs = accept_blobs
    editor.preprocess = preprocess  # type: ignore[method-assign]
    return editor


class _Newest(dict[str, EditorDataBlobs]):
    """Keeps the newest few, whose visitors are about to ask for their edit."""

    def __setitem__(self, key: str, value: EditorDataBlobs) -> None:
        super().__setitem__(key, value)
        for old in list(self)[: max(0, len(self) - _KEPT_BLOBS)]:
            del self[old]


def view_of(picture: Picture, side: int = VIEW_SIDE) -> NDArray[np.uint8]:
    """The picture to look at or to paint on: [h, w, 3], no side longer than ``side``; what is transparent is white."""
    pixels = smaller(to_8_bit(picture.pixels), side)
    if pixels.shape[2] == 3:
        return pixels
    alpha = pixels[..., 3:].astype(np.float32) / 255
    return np.asarray(pixels[..., :3] * alpha + 255 * (1 - alpha), dtype=np.uint8)


def smaller(pixels: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """The picture with its longer side ``side`` or less."""
    return np.asarray(reduced(pixels, side / max(pixels.shape[:2])), dtype=np.uint8)


def painted(layers: list[Strokes], photo: AnyImage) -> tuple[Strokes, NDArray[np.uint8] | None]:
    """The scribble [H, W, 4] and the selection [H, W] for a photo of that size; None: all of it may change.

    GanEditError (nothing_painted) when there are no colours, or none where it may change.
    """
    height, width = photo.shape[:2]
    scribble = scribbled(layers)
    if scribble is None:
        raise _nothing_painted("Choose a colour and stroke over what shall have it.")
    colours = np.asarray(cv2.resize(scribble, (width, height), interpolation=cv2.INTER_NEAREST), dtype=np.uint8)
    if not _is_selected(layers):
        return colours, None
    selected = np.where(layers[1][..., 3] >= _SELECTED, 255, 0).astype(np.uint8)
    selection = np.asarray(cv2.resize(selected, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)
    if not (colours[..., 3].astype(bool) & selection.astype(bool)).any():
        raise _nothing_painted(
            f"Paint inside of that, or clear the layer {LAYERS[1]}.", f" inside of what is selected on {LAYERS[1]}"
        )
    return colours, selection


def scribbled(layers: list[Strokes]) -> Strokes | None:
    """The colours alone [h, w, 4], as they were painted; None when there are none."""
    if not layers or not (layers[0][..., 3] >= _PAINTED).any():
        return None
    colours = layers[0].copy()
    # The brush's soft edge mixes its colour with nothing.
    colours[..., 3] = np.where(colours[..., 3] >= _PAINTED, 255, 0)
    return colours


def asked_of_a_blank(layers: list[Strokes]) -> Strokes | None:
    """The colours painted without a photo; None where all is left to the model.

    GanEditError (nothing_painted) when they are on the other layer, where nothing would follow them.
    """
    scribble = scribbled(layers)
    if scribble is None and _is_selected(layers):
        raise _nothing_painted("Paint there: without a photo there is nothing to select.")
    return scribble


def _is_selected(layers: list[Strokes]) -> bool:
    return len(layers) == len(LAYERS) and bool((layers[1][..., 3] >= _SELECTED).any())


def _nothing_painted(hint: str, where: str = "") -> GanEditError:
    return GanEditError("nothing_painted", f"Nothing is painted on the layer {LAYERS[0]}{where}.", hint)


def _opened(layer: Any) -> Strokes:
    """A layer as a file or as its bytes, decoded only if it has the size of what is painted on."""
    source = layer.path if hasattr(layer, "path") else io.BytesIO(layer)
    with Image.open(source, formats=["PNG", "WEBP"]) as image:
        if max(image.size) > VIEW_SIDE:
            raise GanEditError(
                "too_large", "What was painted is larger than the page's picture.", "Load the page anew."
            )
        return np.asarray(image.convert("RGBA"))
