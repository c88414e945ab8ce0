"""`gan-edit models pull`: from the catalogue's address to an installed model, verified on the way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gan_edit_engine.checkpoints import CheckpointError
from gan_edit_engine.library import downloads, perceptual_files
from gan_edit_engine.library.catalogue import VGG19, Entry
from gan_edit_engine.library.importing import Description, import_model
from gan_edit_engine.library.models_folder import models_dir

DOWNLOADS = "downloads"


def pull_model(
    entry: Entry, progress: downloads.Progress, folder: Path | None = None, keep_download: bool = False
) -> Path:
    """Download and import a catalogue model under its name; the installed file.

    A file that lies in the downloads folder already (placed there by hand, say) is verified and used. Raises
    DownloadError; the hint says how to place the file by hand. A file that holds no such model is deleted.
    """
    points = json.dumps(entry.align_points) if entry.align_points else ""
    description = Description(entry.domain, f"{entry.url} ({entry.source})", entry.licence, points)
    with _fetched(entry, progress, folder) as file:
        info = import_model(file, entry.name, description, folder)
    if not keep_download:
        file.unlink()
    return info.path


def pull_perceptual(name: str, progress: downloads.Progress, folder: Path | None = None) -> Path:
    """Download and convert a perceptual network; its safetensors file. Raises like `pull_model`."""
    target = perceptual_files.weights_path(name, folder)
    if name == VGG19.name:
        with _fetched(VGG19, progress, folder) as file:
            perceptual_files.convert_vgg19(file, target)
        file.unlink()
    else:
        perceptual_files.pull_lpips(target)
    return perceptual_files.perceptual_weights(name, folder)


@contextmanager
def _fetched(entry: Entry, progress: downloads.Progress, folder: Path | None) -> Iterator[Path]:
    """The downloaded file of a catalogue entry, verified against its published SHA-256 or that of the first one.

    The block opens it. What it takes is the reference from then on; what it refuses by a CheckpointError is deleted,
    for it would be found there the next time, and nothing of it is remembered.
    """
    root, file = models_dir(folder), download_path(entry, folder)
    known = downloads.known_sha256(root, entry.url)
    there = file.is_file()
    try:
        if there:
            digest = _verified(file, entry.sha256 or known)
        else:
            digest = downloads.download(entry.url, file, entry.sha256 or known, entry.size, progress)
    except downloads.DownloadError as error:
        raise downloads.DownloadError(
            error.message, f"{error.hint} {manual_placement(entry, folder)}".strip()
        ) from None
    try:
        yield file
    except CheckpointError as error:
        file.unlink(missing_ok=True)
        if digest == known:
            downloads.remember_sha256(root, entry.url, None)
        raise downloads.DownloadError(
            f"{f'The file {file}' if there else f'What came from {entry.url}'} cannot be used: {error.reason}. "
            "It was deleted.",
            f"{error.hint} {manual_placement(entry, folder)}".strip(),
        ) from None
    downloads.remember_sha256(root, entry.url, digest)


def _verified(file: Path, expected: str | None) -> str:
    digest = downloads.sha256_of(file)
    if expected is not None and not digest.startswith(expected):
        raise downloads.DownloadError(f"{file} is not the expected file: its SHA-256 is not {expected}.", "Delete it.")
    return digest


def download_path(entry: Entry, folder: Path | None = None) -> Path:
    """Where a catalogue entry's file is kept while it is fetched, and where it may be placed by hand."""
    return models_dir(folder) / DOWNLOADS / entry.file_name


def manual_placement(entry: Entry, folder: Path | None = None) -> str:
    """How to do without the download, in one sentence."""
    return f"Or fetch {entry.url} by other means, put it at {download_path(entry, folder)} and run the command again."
