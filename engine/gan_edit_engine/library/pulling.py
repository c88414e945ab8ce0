"""`gan-edit models pull`: from the catalogue's address to an installed model, verified on the way."""

from __future__ import annotations

import json
from pathlib import Path

from gan_edit_engine.library import downloads, perceptual_files
from gan_edit_engine.library.catalogue import VGG19, Entry
from gan_edit_engine.library.importing import Description, import_model
from gan_edit_engine.models_folder import models_dir

DOWNLOADS = "downloads"


def pull_model(
    entry: Entry, progress: downloads.Progress, folder: Path | None = None, keep_download: bool = False
) -> Path:
    """Download and import a catalogue model under its name; the installed file.

    A file that lies in the downloads folder already (placed there by hand, say) is verified and used. Raises
    DownloadError or CheckpointError; the hint says how to place the file by hand.
    """
    file = fetch(entry, progress, folder)
    points = json.dumps(entry.align_points) if entry.align_points else ""
    description = Description(entry.domain, f"{entry.url} ({entry.source})", entry.licence, points)
    info = import_model(file, entry.name, description, folder)
    if not keep_download:
        file.unlink()
    return info.path


def pull_perceptual(name: str, progress: downloads.Progress, folder: Path | None = None) -> Path:
    """Download and convert a perceptual network; its safetensors file. Raises like `pull_model`."""
    target = perceptual_files.weights_path(name, folder)
    if name == VGG19.name:
        file = fetch(VGG19, progress, folder)
        perceptual_files.convert_vgg19(file, target)
        file.unlink()
    else:
        perceptual_files.pull_lpips(target)
    return perceptual_files.perceptual_weights(name, folder)


def fetch(entry: Entry, progress: downloads.Progress, folder: Path | None = None) -> Path:
    """The downloaded file of a catalogue entry, verified against its published or first-seen SHA-256."""
    root = models_dir(folder)
    file = download_path(entry, folder)
    expected = entry.sha256 or downloads.known_sha256(root, entry.url)
    try:
        if file.is_file():
            digest = _verified(file, expected)
        else:
            digest = downloads.download(entry.url, file, expected, entry.size, progress)
    except downloads.DownloadError as error:
        raise downloads.DownloadError(
            error.message, f"{error.hint} {manual_placement(entry, folder)}".strip()
        ) from None
    downloads.remember_sha256(root, entry.url, digest)
    return file


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
