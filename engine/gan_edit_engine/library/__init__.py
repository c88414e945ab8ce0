"""The model library: what is installed, opening a model by name or file, downloads and imports."""

from gan_edit_engine.library.encoders import ModelEncoder, attach_encoder, open_encoder
from gan_edit_engine.library.importing import import_model, remove_model
from gan_edit_engine.library.models import Model, ModelInfo, installed, open_discriminator, open_model, outline
from gan_edit_engine.library.perceptual_files import perceptual_weights
from gan_edit_engine.models_folder import models_dir

__all__ = [
    "Model",
    "ModelEncoder",
    "ModelInfo",
    "attach_encoder",
    "import_model",
    "installed",
    "models_dir",
    "open_discriminator",
    "open_encoder",
    "open_model",
    "outline",
    "perceptual_weights",
    "remove_model",
]
