"""Files that are merely wrong: not models at all, or models with unusable weights."""

from __future__ import annotations

import io
import json
import struct
from pathlib import Path

import torch

from attacks.build import Builder, dictionary, ndarray, text, whole, writes


def saved(content: object, legacy: bool = False) -> bytes:
    """What torch.save writes."""
    buffer = io.BytesIO()
    torch.save(content, buffer, _use_new_zipfile_serialization=not legacy)
    return buffer.getvalue()


def examples_state(**changes: torch.Tensor) -> dict[str, torch.Tensor]:
    """The state dict of a tiny DCGAN of pytorch/examples, with changes."""
    state = {"main.0.weight": torch.zeros(5, 4, 4, 4), "main.3.weight": torch.zeros(4, 3, 4, 4)}
    norm = {
        "weight": torch.ones(4),
        "bias": torch.zeros(4),
        "running_mean": torch.zeros(4),
        "running_var": torch.ones(4),
    }
    state |= {f"main.1.{name}": value for name, value in norm.items()}
    return {**state, **{name.replace("__", "."): value for name, value in changes.items()}}


def empty_file(canary: Path) -> bytes:
    """Nothing."""
    return b""


def text_file(canary: Path) -> bytes:
    """A text file named .pkl."""
    return b"This is not a model.\n" * 50


def html_page(canary: Path) -> bytes:
    """What a download behind a login page leaves."""
    return b"<!DOCTYPE html><html><body>Please log in</body></html>"


def git_lfs_pointer(canary: Path) -> bytes:
    """What a clone without LFS leaves."""
    return b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"


def garbage(canary: Path) -> bytes:
    """Random bytes."""
    return bytes(torch.randint(0, 256, (5000,), generator=torch.Generator().manual_seed(0)).tolist())


def garbage_behind_a_pickle_head(canary: Path) -> bytes:
    """Random bytes after a pickle's first two."""
    return b"\x80\x04" + garbage(canary)


def garbage_behind_a_zip_head(canary: Path) -> bytes:
    """Random bytes after a zip's first four."""
    return b"PK\x03\x04" + garbage(canary)


def pickle_without_end(canary: Path) -> bytes:
    """A pickle that stops in the middle."""
    return b"\x80\x04}("


def empty_dictionary(canary: Path) -> bytes:
    """A valid pickle of nothing."""
    return whole(b"}")


def number_only(canary: Path) -> bytes:
    """A valid pickle of a number."""
    return whole(b"K\x05")


def unknown_family(canary: Path) -> bytes:
    """A state dict of another network."""
    return saved({"encoder.weight": torch.zeros(3)})


def three_instances_of_nothing(canary: Path) -> bytes:
    """A TensorFlow triple without variables."""
    network = b"cdnnlib.tflib.network\nNetwork\n)\x81" + dictionary({"version": b"K\x04"}) + b"b"
    return whole(b"(" + network * 3 + b"t")


def stylegan1_pickle(canary: Path) -> bytes:
    """A TensorFlow triple of the first StyleGAN's version."""
    network = b"cdnnlib.tflib.network\nNetwork\n)\x81" + dictionary({"version": b"K\x02"}) + b"b"
    return whole(b"(" + network * 3 + b"t")


def variables_that_are_no_pairs(canary: Path) -> bytes:
    """TensorFlow variables of the wrong form."""
    state = {"version": b"K\x04", "variables": b"](" + text("a") + b"e", "components": b"}"}
    network = b"cdnnlib.tflib.network\nNetwork\n)\x81" + dictionary(state) + b"b"
    return whole(b"(" + network * 3 + b"t")


def wrong_shape(canary: Path) -> bytes:
    """A layer that does not fit the one before it."""
    return saved(examples_state(main__3__weight=torch.zeros(7, 3, 4, 4)))


def wrong_dimensions(canary: Path) -> bytes:
    """A convolution of two dimensions."""
    return saved(examples_state(main__0__weight=torch.zeros(5, 4)))


def wrong_norm(canary: Path) -> bytes:
    """A normalisation of another width."""
    return saved(examples_state(main__1__bias=torch.zeros(9)))


def nan_weights(canary: Path) -> bytes:
    """Weights that are not numbers."""
    return saved(examples_state(main__0__weight=torch.full((5, 4, 4, 4), float("nan"))))


def infinite_weights(canary: Path) -> bytes:
    """Weights that are infinite, in the older stream."""
    return saved(examples_state(main__0__weight=torch.full((5, 4, 4, 4), float("inf"))), legacy=True)


def missing_weight(canary: Path) -> bytes:
    """A state dict with a hole."""
    state = examples_state()
    del state["main.1.bias"]
    return saved(state)


def superfluous_weight(canary: Path) -> bytes:
    """A state dict with one weight too many."""
    return saved(examples_state(main__9__extra=torch.zeros(1)))


def weights_of_text(canary: Path) -> bytes:
    """A numpy array of letters."""
    return whole(dictionary({"g_ema": dictionary({"style.1.weight": ndarray((1,), b"abcd", "U1")})}))


def sparse_tensor(canary: Path) -> bytes:
    """A kind of tensor that no generator has."""
    return saved({"main.0.weight": torch.eye(4).to_sparse()})


def safetensors_without_channels(canary: Path) -> bytes:
    """An architecture whose last layers have no channels (found by fuzzing: it divided by zero)."""
    header = json.dumps({"__metadata__": {"architecture": "stylegan2", "channel_base": "0"}}).encode()
    return struct.pack("<Q", len(header)) + header


WRONG_FILES: list[Builder] = [
    writes(body)
    for body in (
        empty_file,
        text_file,
        html_page,
        git_lfs_pointer,
        garbage,
        garbage_behind_a_pickle_head,
        garbage_behind_a_zip_head,
        pickle_without_end,
        empty_dictionary,
        number_only,
        unknown_family,
        three_instances_of_nothing,
        stylegan1_pickle,
        variables_that_are_no_pairs,
        wrong_shape,
        wrong_dimensions,
        wrong_norm,
        nan_weights,
        infinite_weights,
        missing_weight,
        superfluous_weight,
        weights_of_text,
        sparse_tensor,
        safetensors_without_channels,
    )
]
