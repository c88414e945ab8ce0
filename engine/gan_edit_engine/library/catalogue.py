"""Public models that people ask for: where they are, what they show, and under which licence.

Addresses are those in the README files of the projects named in ``source``. No project publishes SHA-256 sums of
these files, so the sum of the first download is recorded and a later one must match it.
"""

from __future__ import annotations

from dataclasses import dataclass

from gan_edit_engine.library.models_folder import AlignPoints
from gan_edit_protocol.errors import GanEditError


@dataclass(frozen=True)
class Entry:
    """A downloadable model. ``crop`` says how a photo should be framed; ``align_points`` as in ModelInfo.

    ``sha256`` and ``size`` (bytes) are None where the publisher does not state them; ``sha256`` may be the first
    digits only, as torchvision puts them into its file names.
    """

    name: str
    url: str
    resolution: int
    domain: str
    crop: str
    licence: str
    licence_url: str
    source: str
    align_points: AlignPoints | None = None
    size: int | None = None
    sha256: str | None = None

    @property
    def file_name(self) -> str:
        """The last part of the address."""
        return self.url.rsplit("/", 1)[-1]


_NGC = "https://api.ngc.nvidia.com/v2/models/nvidia/research"
_STYLEGAN2_PYTORCH = f"{_NGC}/stylegan2/versions/1/files"
_STYLEGAN3 = f"{_NGC}/stylegan3/versions/1/files"
_STYLEGAN2_TENSORFLOW = "https://nvlabs-fi-cdn.nvidia.com/stylegan2/networks"

_FACE_CROP = "a face from hair to chin, eyes level (the ffhq-dataset alignment)"
_LOOSE_FACE_CROP = "a face from hair to chin, rotation and position free"
_ANIMAL_CROP = "the animal's head, filling the square"
_OBJECT_CROP = "the whole object, centred"

FFHQ_POINTS: AlignPoints = ((0.375, 0.47), (0.625, 0.47))
"""The eyes in FFHQ, CelebA-HQ and MetFaces, about: the square's side is four times their distance or 3.6 times the way
to the mouth, and its centre a tenth of that way below them (Karras et al. 2018, appendix C)."""


def _stylegan2(name: str, file: str, resolution: int, domain: str, crop: str, aligned: bool = False) -> Entry:
    return Entry(
        name=name,
        url=f"{_STYLEGAN2_PYTORCH}/{file}.pkl",
        resolution=resolution,
        domain=domain,
        crop=crop,
        licence="NVIDIA Source Code License (non-commercial)",
        licence_url="https://github.com/NVlabs/stylegan3/blob/main/LICENSE.txt",
        source="https://github.com/NVlabs/stylegan3",
        align_points=FFHQ_POINTS if aligned else None,
    )


def _stylegan3(name: str, file: str, resolution: int, domain: str, crop: str, aligned: bool = False) -> Entry:
    return Entry(
        name=name,
        url=f"{_STYLEGAN3}/{file}.pkl",
        resolution=resolution,
        domain=domain,
        crop=crop,
        licence="NVIDIA Source Code License (non-commercial)",
        licence_url="https://github.com/NVlabs/stylegan3/blob/main/LICENSE.txt",
        source="https://github.com/NVlabs/stylegan3",
        align_points=FFHQ_POINTS if aligned else None,
    )


def _lsun(name: str, file: str, resolution: int, domain: str) -> Entry:
    return Entry(
        name=name,
        url=f"{_STYLEGAN2_TENSORFLOW}/{file}.pkl",
        resolution=resolution,
        domain=domain,
        crop=_OBJECT_CROP,
        licence="Nvidia Source Code License-NC (non-commercial)",
        licence_url="https://nvlabs.github.io/stylegan2/license.html",
        source="https://github.com/NVlabs/stylegan2",
    )


MODELS: tuple[Entry, ...] = (
    _stylegan2("ffhq-256", "stylegan2-ffhq-256x256", 256, "human face", _FACE_CROP, aligned=True),
    _stylegan2("ffhq-512", "stylegan2-ffhq-512x512", 512, "human face", _FACE_CROP, aligned=True),
    _stylegan2("ffhq-1024", "stylegan2-ffhq-1024x1024", 1024, "human face", _FACE_CROP, aligned=True),
    _stylegan2("ffhqu-256", "stylegan2-ffhqu-256x256", 256, "human face, not aligned", _LOOSE_FACE_CROP),
    _stylegan2("celebahq-256", "stylegan2-celebahq-256x256", 256, "human face", _FACE_CROP, aligned=True),
    _stylegan2("metfaces-1024", "stylegan2-metfaces-1024x1024", 1024, "painted face", _FACE_CROP, aligned=True),
    _stylegan2("afhqcat-512", "stylegan2-afhqcat-512x512", 512, "cat face (AFHQ v1)", _ANIMAL_CROP),
    _stylegan2("afhqdog-512", "stylegan2-afhqdog-512x512", 512, "dog face (AFHQ v1)", _ANIMAL_CROP),
    _stylegan2("afhqwild-512", "stylegan2-afhqwild-512x512", 512, "wild animal face (AFHQ v1)", _ANIMAL_CROP),
    _stylegan2("afhqv2-512", "stylegan2-afhqv2-512x512", 512, "cat, dog and wild animal face (AFHQ v2)", _ANIMAL_CROP),
    _stylegan2("lsundog-256", "stylegan2-lsundog-256x256", 256, "dog", _OBJECT_CROP),
    _stylegan2("cifar10-32", "stylegan2-cifar10-32x32", 32, "ten classes of small photos (conditional)", _OBJECT_CROP),
    _stylegan2("brecahad-512", "stylegan2-brecahad-512x512", 512, "breast cancer histology", "any tile"),
    _lsun("lsuncat-256", "stylegan2-cat-config-f", 256, "cat"),
    _lsun("lsunchurch-256", "stylegan2-church-config-f", 256, "church"),
    _lsun("lsunhorse-256", "stylegan2-horse-config-f", 256, "horse"),
    _lsun("lsuncar-512", "stylegan2-car-config-f", 512, "car (512x384, bars above and below)"),
    _stylegan3("stylegan3-t-ffhq-1024", "stylegan3-t-ffhq-1024x1024", 1024, "human face", _FACE_CROP, aligned=True),
    _stylegan3("stylegan3-r-ffhq-1024", "stylegan3-r-ffhq-1024x1024", 1024, "human face", _FACE_CROP, aligned=True),
    _stylegan3("stylegan3-t-ffhqu-256", "stylegan3-t-ffhqu-256x256", 256, "human face, not aligned", _LOOSE_FACE_CROP),
    _stylegan3("stylegan3-r-ffhqu-256", "stylegan3-r-ffhqu-256x256", 256, "human face, not aligned", _LOOSE_FACE_CROP),
    _stylegan3("stylegan3-t-metfaces-1024", "stylegan3-t-metfaces-1024x1024", 1024, "painted face", _FACE_CROP, True),
    _stylegan3("stylegan3-r-metfaces-1024", "stylegan3-r-metfaces-1024x1024", 1024, "painted face", _FACE_CROP, True),
    _stylegan3("stylegan3-t-afhqv2-512", "stylegan3-t-afhqv2-512x512", 512, "animal face (AFHQ v2)", _ANIMAL_CROP),
    _stylegan3("stylegan3-r-afhqv2-512", "stylegan3-r-afhqv2-512x512", 512, "animal face (AFHQ v2)", _ANIMAL_CROP),
)

VGG19 = Entry(
    name="vgg19",
    url="https://download.pytorch.org/models/vgg19-dcbb9e9d.pth",
    resolution=224,
    domain="perceptual network (ImageNet features)",
    crop="",
    licence="BSD 3-Clause (torchvision); trained on ImageNet",
    licence_url="https://github.com/pytorch/vision/blob/main/LICENSE",
    source="https://github.com/pytorch/vision",
    sha256="dcbb9e9d",
)


def find_entry(name: str) -> Entry:
    """The catalogue's entry of that name; GanEditError (unknown_model) listing the names when there is none."""
    for entry in MODELS:
        if entry.name == name:
            return entry
    raise GanEditError(
        "unknown_model",
        f"The catalogue has no model named {name!r}.",
        f"It has: {', '.join(entry.name for entry in MODELS)}.",
    )
