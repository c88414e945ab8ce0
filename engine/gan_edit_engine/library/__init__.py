"""The model library: what is installed, and opening a model by name or file."""

from gan_edit_engine.library.models import Model, ModelInfo, installed, open_model
from gan_edit_engine.models_folder import models_dir

__all__ = ["Model", "ModelInfo", "installed", "models_dir", "open_model"]
