"""Latents of the default before, which are latents of the default, too: that has the same layers, and a block more."""

from __future__ import annotations

import dataclasses
from typing import TypeVar

import numpy as np

from gan_edit_engine.generators import Generator
from gan_edit_engine.imaging.arrays import from_message, to_message
from gan_edit_engine.library.models_folder import (
    DEFAULT_NAMES,
    EARLIER_DEFAULT,
    EARLIER_LAYERS,
    default_model_path,
    find_model,
)
from gan_edit_engine.worker.latent_codec import grown_noise
from gan_edit_protocol.arrays import Array
from gan_edit_protocol.events import Notice
from gan_edit_protocol.requests import EditRequest, InterpolateRequest, JobRequest, ProjectRequest

RequestT = TypeVar("RequestT", bound=JobRequest)

TOLD = Notice(
    f"The latent was made with {EARLIER_DEFAULT}, which is not here any more: "
    f"{DEFAULT_NAMES[1]}, which was grown from it, takes its place.",
    "What is finer than its 128 pixels may look different.",
)


def is_of_earlier(request: JobRequest) -> bool:
    """Whether the request brings w+ latents of the default before to the default."""
    ws = _latents(request)
    return ws is not None and ws.shape[-2] == EARLIER_LAYERS and find_model(request.model) == default_model_path()


def of_default(request: RequestT, generator: Generator) -> RequestT:
    """The request with the latents that the ``generator``, the default, draws the same image from.

    Its further layers are given what the last one had, its further noise maps are the model's own.
    """
    if isinstance(request, InterpolateRequest):
        return dataclasses.replace(request, latents=_grown(request.latents, generator))
    assert isinstance(request, EditRequest | ProjectRequest)
    assert request.latent is not None
    latent = request.latent
    noise = None if latent.noise is None else grown_noise(latent.noise, generator, EARLIER_LAYERS)
    return dataclasses.replace(
        request, latent=dataclasses.replace(latent, ws=_grown(latent.ws, generator), noise=noise)
    )


def _latents(request: JobRequest) -> Array | None:
    """[num_ws, w_dim], or K of them; None where there are none, or those of z."""
    if isinstance(request, InterpolateRequest):
        return request.latents if len(request.latents.shape) == 3 else None
    if isinstance(request, EditRequest | ProjectRequest) and request.latent is not None:
        return request.latent.ws
    return None


def _grown(latents: Array, generator: Generator) -> Array:
    ws = from_message(latents)
    further = np.repeat(ws[..., -1:, :], generator.num_ws - EARLIER_LAYERS, axis=-2)
    return to_message(np.concatenate([ws, further], axis=-2))
