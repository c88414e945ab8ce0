"""What the worker keeps between jobs: loaded models, perceptual networks, and where on disk more is kept."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import platformdirs
import torch
from torch import Tensor

from gan_edit_engine.inversion.axes import PROBES, find_axes, wants_axes
from gan_edit_engine.inversion.kin import SAMPLES, feature_spread
from gan_edit_engine.inversion.latents import Statistics, label, map_to_w, random_z, statistics
from gan_edit_engine.inversion.optimize import Step
from gan_edit_engine.inversion.perceptual import (
    VGGS,
    Perceptual,
    discriminator_features,
    load_perceptual,
    settled_choice,
    vgg_weights,
)
from gan_edit_engine.inversion.precision import dtype_of, faster_precision
from gan_edit_engine.library.encoders import ModelEncoder, open_encoder
from gan_edit_engine.library.models import Model, discriminator_identity, model_identity, open_discriminator, open_model
from gan_edit_engine.library.models_folder import encoder_path, file_identity
from gan_edit_engine.worker.kept_statistics import read_statistics, statistics_file, write_statistics
from gan_edit_engine.worker.recent import Recent
from gan_edit_protocol.errors import GanEditError
from gan_edit_protocol.settings import InterpolateSettings, ProjectSettings

SettingsT = TypeVar("SettingsT", bound=ProjectSettings)

CACHE_DIR_VARIABLE = "GAN_EDIT_CACHE_DIR"
_MODELS_KEPT = 2
_CLASSES_KEPT = 8  # what is known of a model's classes is small beside its weights
_NETWORKS_KEPT = 2


@dataclass(frozen=True)
class _Opened:
    """A model and what was found out about its latents, by class."""

    model: Model
    spreads: Recent[int, Statistics] = field(default_factory=lambda: Recent(_CLASSES_KEPT))


class Workspace:
    """What stays loaded between jobs on one device: the models and the perceptual networks that were used last.

    Each is there once, whatever name it was asked for by, for whichever class or with whichever layers, and is looked
    up by the file that is there now, so that one that was replaced or removed counts at once.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.projections = cache_dir() / "projections"
        self.explored = cache_dir() / "explored"
        self._models: Recent[tuple[object, ...], _Opened] = Recent(_MODELS_KEPT)
        self._encoders: Recent[tuple[object, ...], ModelEncoder | None] = Recent(_MODELS_KEPT)
        self._perceptual: Recent[tuple[object, ...], Perceptual] = Recent(_NETWORKS_KEPT)
        self._vggs: Recent[tuple[str, str], dict[str, Tensor]] = Recent(_NETWORKS_KEPT)
        # The same request with the same seed gives the same image on the same device; cuBLAS needs the variable.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True, warn_only=True)

    def model(self, name: str, class_label: int = 0) -> tuple[Model, Statistics]:
        """The model of a name or file, and the spread of its latents of a class."""
        opened = self._opened(name)
        return opened.model, opened.spreads.get(class_label, lambda: self._known(opened.model, class_label))

    def _known(self, model: Model, class_label: int) -> Statistics:
        kept = read_statistics(self._statistics_file(model, class_label), self.device)
        return kept or statistics(model.generator, self.device, class_label)

    def _opened(self, name: str) -> _Opened:
        return self._models.get(model_identity(name), lambda: _Opened(open_model(name, self.device)))

    def searchable(self, name: str, settings: ProjectSettings) -> Generator[Step, None, tuple[Model, Statistics]]:
        """As `model`, with the axes along which ``settings`` search; yields a Step for each look at the model.

        They are found once for each model, in a few seconds, and kept.
        """
        opened = self._opened(name)
        model, spread = self.model(name, settings.class_label)
        if not wants_axes(settings) or spread.axes is not None or "w" not in model.generator.spaces:
            return model, spread
        w = map_to_w(model.generator, random_z(model.generator, PROBES, 0, self.device), settings.class_label)
        spread = dataclasses.replace(spread, axes=(yield from find_axes(model.generator, w, spread.mean)))
        return self._explored(opened, settings, spread)

    def editable(self, name: str, settings: ProjectSettings) -> Generator[Step, None, tuple[Model, Statistics]]:
        """As `searchable`, with what the model's features are like, by which strokes find what they lie on."""
        opened = self._opened(name)
        model, spread = yield from self.searchable(name, settings)
        if spread.features is None:
            z = random_z(model.generator, SAMPLES, 0, self.device)
            ws = model.generator.mapping(z, label(model.generator, SAMPLES, settings.class_label, self.device))
            spread = dataclasses.replace(spread, features=(yield from feature_spread(model.generator, ws, PROBES)))
            return self._explored(opened, settings, spread)
        return model, spread

    def _explored(self, opened: _Opened, settings: ProjectSettings, spread: Statistics) -> tuple[Model, Statistics]:
        """Keep what was found out about a model, here and on disk."""
        opened.spreads.put(settings.class_label, spread)
        write_statistics(self._statistics_file(opened.model, settings.class_label), spread)
        return opened.model, spread

    def _statistics_file(self, model: Model, class_label: int) -> Path:
        return statistics_file(self.explored, model, class_label, self.device)

    def encoder(self, model: Model, settings: ProjectSettings) -> ModelEncoder | None:
        """The encoder that a search by ``settings`` starts from; None where the model has none or it is not wanted.

        Raises GanEditError (no_encoder) when it is asked for and cannot be, and as `open_encoder` does.
        """
        asked_for = settings.start == "encoder"
        if asked_for and settings.space == "z":
            raise GanEditError("no_encoder", "No encoder answers in z.", "Search in w or w+, or set start to auto.")
        # Who wants several starts wants them to differ, perhaps because the encoder is wrong about this photo.
        if not asked_for and (settings.start != "auto" or settings.space == "z" or settings.restarts > 1):
            return None
        file = encoder_path(model.info.path)
        if file is None or not file.is_file():
            if asked_for:
                raise GanEditError(
                    "no_encoder",
                    "This model has no encoder to start from.",
                    "Set start to auto or mean, or give it one: gan-edit models encoder NAME FILE",
                )
            return None
        return self._encoders.get((file_identity(file), model.digest), lambda: open_encoder(model))

    def settled(self, settings: SettingsT) -> SettingsT:
        """``settings`` with the precision that "auto" stands for on this device.

        L-BFGS keeps float32: its line search takes the rounding of a coarser format for the shape of the loss.
        """
        if settings.precision != "auto":
            return settings
        faster = "float32" if settings.optimizer == "lbfgs" else faster_precision(self.device, cache_dir())
        return dataclasses.replace(settings, precision=faster)

    def perceptual(self, settings: ProjectSettings | InterpolateSettings, model: str) -> Perceptual:
        """The perceptual network that the settings name, loaded when first asked for."""
        choice = settled_choice(settings.perceptual)
        if choice == "discriminator":
            key = choice, discriminator_identity(model)
            return self._perceptual.get(key, lambda: discriminator_features(open_discriminator(model, self.device)))
        if choice not in VGGS:
            return self._perceptual.get((choice,), lambda: load_perceptual(choice, self.device))
        precision = settings.precision if isinstance(settings, ProjectSettings) else "float32"
        architecture, dtype = VGGS[choice], dtype_of(precision)

        def weights() -> dict[str, Tensor]:
            kept = architecture, precision
            return self._vggs.get(kept, lambda: vgg_weights(architecture, self.device, dtype))

        return load_perceptual(choice, self.device, settings.perceptual_layers, dtype, weights)


def cache_dir() -> Path:
    """The environment's GAN_EDIT_CACHE_DIR, else the user's cache folder."""
    given = os.environ.get(CACHE_DIR_VARIABLE)
    return Path(given) if given else platformdirs.user_cache_path("gan-edit", appauthor=False)
