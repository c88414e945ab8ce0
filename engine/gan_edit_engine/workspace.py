"""What the worker keeps between jobs: loaded models, perceptual networks, and where on disk more is kept."""

from __future__ import annotations

import dataclasses
import os
from collections import OrderedDict
from collections.abc import Generator
from pathlib import Path
from typing import TypeVar

import platformdirs
import torch

from gan_edit_engine.axes import PROBES, find_axes, wants_axes
from gan_edit_engine.kept_statistics import read_statistics, statistics_file, write_statistics
from gan_edit_engine.kin import SAMPLES, feature_spread
from gan_edit_engine.latents import Statistics, label, map_to_w, random_z, statistics
from gan_edit_engine.library import Model, ModelEncoder, open_discriminator, open_encoder, open_model
from gan_edit_engine.models_folder import encoder_path
from gan_edit_engine.optimize import Step
from gan_edit_engine.perceptual import Perceptual, discriminator_features, load_perceptual
from gan_edit_engine.precision import dtype_of, faster_precision
from gan_edit_protocol.errors import GanEditError
from gan_edit_protocol.settings import InterpolateSettings, ProjectSettings

SettingsT = TypeVar("SettingsT", bound=ProjectSettings)

CACHE_DIR_VARIABLE = "GAN_EDIT_CACHE_DIR"
_MODELS_KEPT = 2


class Workspace:
    """What stays loaded between jobs on one device: the models used last and the perceptual network."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.projections = cache_dir() / "projections"
        self.explored = cache_dir() / "explored"
        self._models: OrderedDict[tuple[str, int], tuple[Model, Statistics]] = OrderedDict()
        self._encoders: OrderedDict[tuple[Path, int], ModelEncoder | None] = OrderedDict()
        self._perceptual: dict[tuple[str, ...], Perceptual] = {}
        # The same request with the same seed gives the same image on the same device; cuBLAS needs the variable.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True, warn_only=True)

    def model(self, name: str, class_label: int = 0) -> tuple[Model, Statistics]:
        """The model of a name or file, and the spread of its latents of a class."""
        key = name, class_label
        if key not in self._models:
            model = open_model(name, self.device)
            kept = read_statistics(self._statistics_file(model, class_label), self.device)
            self._models[key] = model, kept or statistics(model.generator, self.device, class_label)
            if len(self._models) > _MODELS_KEPT:
                self._models.popitem(last=False)
        self._models.move_to_end(key)
        return self._models[key]

    def searchable(self, name: str, settings: ProjectSettings) -> Generator[Step, None, tuple[Model, Statistics]]:
        """As `model`, with the axes along which ``settings`` search; yields a Step for each look at the model.

        They are found once for each model, in a few seconds, and kept.
        """
        model, spread = self.model(name, settings.class_label)
        if not wants_axes(settings) or spread.axes is not None or "w" not in model.generator.spaces:
            return model, spread
        w = map_to_w(model.generator, random_z(model.generator, PROBES, 0, self.device), settings.class_label)
        spread = dataclasses.replace(spread, axes=(yield from find_axes(model.generator, w, spread.mean)))
        return self._explored(name, settings, model, spread)

    def editable(self, name: str, settings: ProjectSettings) -> Generator[Step, None, tuple[Model, Statistics]]:
        """As `searchable`, with what the model's features are like, by which strokes find what they lie on."""
        model, spread = yield from self.searchable(name, settings)
        if spread.features is None:
            z = random_z(model.generator, SAMPLES, 0, self.device)
            ws = model.generator.mapping(z, label(model.generator, SAMPLES, settings.class_label, self.device))
            spread = dataclasses.replace(spread, features=(yield from feature_spread(model.generator, ws, PROBES)))
            return self._explored(name, settings, model, spread)
        return model, spread

    def _explored(
        self, name: str, settings: ProjectSettings, model: Model, spread: Statistics
    ) -> tuple[Model, Statistics]:
        """Keep what was found out about a model, here and on disk."""
        self._models[name, settings.class_label] = model, spread
        write_statistics(self._statistics_file(model, settings.class_label), spread)
        return model, spread

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
        key = file, file.stat().st_mtime_ns  # one that is attached or exchanged while the engine runs counts at once
        if key not in self._encoders:
            self._encoders[key] = open_encoder(model)
            if len(self._encoders) > _MODELS_KEPT:
                self._encoders.popitem(last=False)
        self._encoders.move_to_end(key)
        return self._encoders[key]

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
        choice, layers = settings.perceptual, settings.perceptual_layers
        precision = settings.precision if isinstance(settings, ProjectSettings) else "float32"
        key = (choice, model if choice == "discriminator" else "", layers, precision)
        if key not in self._perceptual:
            self._perceptual[key] = self._load_perceptual(choice, layers, model, precision)
        return self._perceptual[key]

    def _load_perceptual(self, choice: str, layers: str, model: str, precision: str) -> Perceptual:
        if choice == "discriminator":
            return discriminator_features(open_discriminator(model, self.device))
        return load_perceptual(choice, self.device, layers, dtype_of(precision))


def cache_dir() -> Path:
    """The environment's GAN_EDIT_CACHE_DIR, else the user's cache folder."""
    given = os.environ.get(CACHE_DIR_VARIABLE)
    return Path(given) if given else platformdirs.user_cache_path("gan-edit", appauthor=False)
