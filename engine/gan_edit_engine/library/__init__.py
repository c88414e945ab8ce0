"""The model library: what is installed, opening a model by name or file, downloads and imports."""

from gan_edit_engine.library.encoders import ModelEncoder, attach_encoder, open_encoder
from gan_edit_engine.library.importing import import_model, remove_model
from gan_edit_engine.library.models import (
    Model,
    ModelInfo,
    discriminator_identity,
    installed,
    model_identity,
    open_discriminator,
    open_model,
    outline,
    weights_key,
)
from gan_edit_engine.library.perceptual_files import perceptual_weights
from gan_edit_engine.models_folder import find_model, models_dir

__all__ = [
    "Model",
    "ModelEncoder",
    "ModelInfo",
    "attach_encoder",
    "discriminator_identity",
    "find_model",
    "import_model",
    "installed",
    "model_identity",
    "models_dir",
    "open_discriminator",
    "open_encoder",
    "open_model",
    "outline",
    "perceptual_weights",
    "remove_model",
    "weights_key",
]
