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
from torch.utils import deterministic

from gan_edit_engine import generators
from gan_edit_engine.inversion.axes import PROBES, find_axes, wants_axes
from gan_edit_engine.inversion.kin import SAMPLES, feature_statistics
from gan_edit_engine.inversion.latents import Statistics, label, map_to_w, random_z, statistics
from gan_edit_engine.inversion.optimize import Step
from gan_edit_engine.inversion.perceptual import (
    VGGS,
    Perceptual,
    discriminator_features,
    load_perceptual,
    resolved_choice,
    vgg_weights,
)
from gan_edit_engine.inversion.precision import dtype_of, faster_precision
from gan_edit_engine.inversion.prepared import Prepared, Projector
from gan_edit_engine.inversion.search_size import affordable, explored_side, looks_at
from gan_edit_engine.library.encoders import ModelEncoder, open_encoder
from gan_edit_engine.library.models import (
    Model,
    discriminator_identity,
    model_identity,
    open_discriminator,
    open_model,
    weights_key,
)
from gan_edit_engine.library.models_folder import encoder_path, file_identity
from gan_edit_engine.worker.kept_statistics import read_statistics, statistics_file, write_statistics
from gan_edit_engine.worker.recent import Recent
from gan_edit_protocol.errors import GanEditError
from gan_edit_protocol.settings import EditSettings, InterpolateSettings, ProjectSettings

SettingsT = TypeVar("SettingsT", bound=ProjectSettings)

CACHE_DIR_VARIABLE = "GAN_EDIT_CACHE_DIR"
_MODELS_KEPT = 2
_CLASSES_KEPT = 8  # what is known of a model's classes is small beside its weights
_NETWORKS_KEPT = 2


@dataclass(frozen=True)
class _Opened:
    """A model and what was found out about its latents, by class."""

    model: Model
    statistics: Recent[int, Statistics] = field(default_factory=lambda: Recent(_CLASSES_KEPT))


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
        # That would also fill all memory that is about to be written: a sixth of all that a step asks a card for.
        deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # torch puts it there at run time
        # NVIDIA's cards else round what a float32 convolution takes to 10 bits, and L-BFGS follows the rounding.
        torch.backends.cudnn.allow_tf32 = False

    def model(self, name: str, class_label: int = 0) -> tuple[Model, Statistics]:
        """The model of a name or file, and what its latents of a class are like."""
        opened = self._opened(name)
        return opened.model, self._statistics(opened, class_label)

    def _statistics(self, opened: _Opened, class_label: int) -> Statistics:
        return opened.statistics.get(class_label, lambda: self._known(opened.model, class_label))

    def _known(self, model: Model, class_label: int) -> Statistics:
        kept = read_statistics(self._statistics_file(model, class_label), self.device)
        return kept or statistics(model.generator, self.device, class_label)

    def _opened(self, name: str) -> _Opened:
        return self._models.get(model_identity(name), lambda: _Opened(open_model(name, self.device)))

    def explore(self, name: str, settings: SettingsT) -> Generator[Step, None, Prepared[SettingsT]]:
        """The model with what a search by ``settings`` must know of it; yields a Step for each look at the model.

        What is found out is found out once for each model, in a few seconds, and kept: the axes along which a search
        moves, and for an edit what the model's features are like, by which strokes find what they lie on.
        """
        return (yield from self._explore(self._opened(name), settings))

    def _explore(self, opened: _Opened, settings: SettingsT) -> Generator[Step, None, Prepared[SettingsT]]:
        generator, known = opened.model.generator, self._statistics(opened, settings.class_label)
        missing = _missing(opened.model, known, settings)
        if "axes" in missing:
            z = random_z(generator, looks_at(generator, PROBES), 0, self.device)
            finding = find_axes(
                generator, map_to_w(generator, z, settings.class_label), known.mean, explored_side(generator)
            )
            known = dataclasses.replace(known, axes=(yield from finding))
            self._keep(opened, settings, known)
        if "features" in missing:
            z = random_z(generator, looks_at(generator, SAMPLES), 0, self.device)
            ws = generator.mapping(z, label(generator, len(z), settings.class_label, self.device))
            known = dataclasses.replace(known, features=(yield from feature_statistics(generator, ws)))
            self._keep(opened, settings, known)
        return Prepared(generator, known, self._resolved(generator, affordable(generator, settings)))

    def looks(self, name: str, settings: ProjectSettings) -> int:
        """How many looks at the model `explore` will take; 0 where all is known."""
        model, known = self.model(name, settings.class_label)
        missing, generator = _missing(model, known, settings), model.generator
        usual = {"axes": PROBES, "features": SAMPLES}
        return sum(looks_at(generator, usual[what]) for what in missing)

    def prepare(
        self, name: str, settings: SettingsT, with_encoder: bool = True
    ) -> Generator[Step, None, Projector[SettingsT]]:
        """As `explore`, with all that a projection needs; ``with_encoder``: unless the job brings its latent along.

        Raises GanEditError when a network that the settings name is not installed.
        """
        # Opened once: a file that is replaced meanwhile must not lend its key or encoder to another's weights.
        opened = self._opened(name)
        encoder = self.encoder(opened.model, settings) if with_encoder else None
        settings = self._resolved(opened.model.generator, settings)
        perceptual = self.perceptual(settings, name)
        ready, key = (yield from self._explore(opened, settings)), weights_key(opened.model)
        return Projector(ready.generator, ready.statistics, ready.settings, perceptual, encoder, key, self.projections)

    def _keep(self, opened: _Opened, settings: ProjectSettings, known: Statistics) -> None:
        """What was found out about a model, here and on disk."""
        opened.statistics.put(settings.class_label, known)
        write_statistics(self._statistics_file(opened.model, settings.class_label), known)

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

    def _resolved(self, generator: generators.Generator, settings: SettingsT) -> SettingsT:
        """``settings`` with the precision that "auto" stands for in a search in ``generator`` on this device.

        L-BFGS keeps float32: its line search takes the rounding of a coarser format for the shape of the loss.
        """
        if settings.precision != "auto":
            return settings
        if settings.optimizer == "lbfgs":
            return dataclasses.replace(settings, precision="float32")
        return dataclasses.replace(settings, precision=faster_precision(generator, self.device, cache_dir()))

    def perceptual(self, settings: ProjectSettings | InterpolateSettings, model: str) -> Perceptual:
        """The perceptual network that the settings name, loaded when first asked for."""
        choice = resolved_choice(settings.perceptual)
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


def _missing(model: Model, known: Statistics, settings: ProjectSettings) -> set[str]:
    """What a search must know and nobody has found out."""
    missing = set()
    if wants_axes(settings) and known.axes is None and model.generator.has_w:
        missing.add("axes")
    if isinstance(settings, EditSettings) and known.features is None:
        missing.add("features")
    return missing


def cache_dir() -> Path:
    """The environment's GAN_EDIT_CACHE_DIR, else the user's cache folder."""
    given = os.environ.get(CACHE_DIR_VARIABLE)
    return Path(given) if given else platformdirs.user_cache_path("gan-edit", appauthor=False)
