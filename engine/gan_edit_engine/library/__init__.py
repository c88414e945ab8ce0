"""The model library: what is installed, and opening a model by name or file."""

from gan_edit_engine.library.models import Model, ModelInfo, installed, models_dir, open_model

__all__ = ["Model", "ModelInfo", "installed", "models_dir", "open_model"]
