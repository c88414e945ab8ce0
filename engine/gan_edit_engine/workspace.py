"""What the worker keeps between jobs: loaded models, perceptual networks, and where projections are kept on disk."""

from __future__ import annotations

import os
from collections import OrderedDict
from pathlib import Path

import platformdirs
import torch

from gan_edit_engine.latents import Statistics, statistics
from gan_edit_engine.library import Model, open_discriminator, open_model
from gan_edit_engine.perceptual import Perceptual, discriminator_features, load_perceptual
from gan_edit_protocol.settings import InterpolateSettings, ProjectSettings

CACHE_DIR_VARIABLE = "GAN_EDIT_CACHE_DIR"
_MODELS_KEPT = 2


class Workspace:
    """What stays loaded between jobs on one device: the models used last and the perceptual network."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.projections = cache_dir() / "projections"
        self._models: OrderedDict[tuple[str, int], tuple[Model, Statistics]] = OrderedDict()
        self._perceptual: dict[tuple[str, ...], Perceptual] = {}
        # The same request with the same seed gives the same image on the same device; cuBLAS needs the variable.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True, warn_only=True)

    def model(self, name: str, class_label: int = 0) -> tuple[Model, Statistics]:
        """The model of a name or file, and the spread of its latents of a class."""
        key = name, class_label
        if key not in self._models:
            model = open_model(name, self.device)
            self._models[key] = model, statistics(model.generator, self.device, class_label)
            if len(self._models) > _MODELS_KEPT:
                self._models.popitem(last=False)
        self._models.move_to_end(key)
        return self._models[key]

    def perceptual(self, settings: ProjectSettings | InterpolateSettings, model: str) -> Perceptual:
        """The perceptual network that the settings name, loaded when first asked for."""
        choice, layers = settings.perceptual, settings.perceptual_layers
        key = (choice, model if choice == "discriminator" else "", layers)
        if key not in self._perceptual:
            self._perceptual[key] = self._load_perceptual(choice, layers, model)
        return self._perceptual[key]

    def _load_perceptual(self, choice: str, layers: str, model: str) -> Perceptual:
        if choice == "discriminator":
            return discriminator_features(open_discriminator(model, self.device))
        return load_perceptual(choice, self.device, layers)


def cache_dir() -> Path:
    """The environment's GAN_EDIT_CACHE_DIR, else the user's cache folder."""
    given = os.environ.get(CACHE_DIR_VARIABLE)
    return Path(given) if given else platformdirs.user_cache_path("gan-edit", appauthor=False)
