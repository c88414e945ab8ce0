"""The model that comes with GAN Edit, as people see it named; requests call it "default"."""

DEFAULT = "default"
DEFAULT_SHOWN = "cats256: cat face"
"""Its own name, and what it shows."""


def shown_model(name: str) -> str:
    """What to show for the model that a request names ``name``."""
    return DEFAULT_SHOWN if name == DEFAULT else name


def meant_model(text: str) -> str:
    """The name that a request gives to what is shown, or was typed, as ``text``."""
    return DEFAULT if text == DEFAULT_SHOWN else text
