"""Networks that are no generators, by name: what people take for a model because it lies beside one."""

from __future__ import annotations

import re

from gan_edit_engine.checkpoints import dcgan
from gan_edit_engine.checkpoints.modules import module_state
from gan_edit_engine.checkpoints.state_dicts import StateDict, state_dicts

DISCRIMINATOR = "it is a discriminator, not a generator"
ENCODER = "it is an encoder, not a generator"
# pSp, e4e and their kin: a ResNet body whose maps go to one small head for each w.
_STYLE_HEAD = re.compile(r"styles\.\d+\.(convs|linear)")
_STYLEGAN_DISCRIMINATORS = ("b4.out.weight", "final_linear.1.weight")


def other_network(content: object) -> str:
    """What the network in ``content`` is instead of a generator, as the reason of an error; "" when it is unknown."""
    if isinstance(content, dict) and module_state(content.get("D")) is not None:
        return DISCRIMINATOR
    found = list(state_dicts(content))
    if any(_is_encoder(state) for state in found):
        return f"{ENCODER} (of the pSp family, such as e4e)"
    if any(name in state for state in found for name in _STYLEGAN_DISCRIMINATORS):
        return DISCRIMINATOR
    if any(dcgan.is_discriminator(state) for state in found):
        return f"{DISCRIMINATOR} (a DCGAN's)"
    return ""


def _is_encoder(state: StateDict) -> bool:
    return any(_STYLE_HEAD.match(name) for name in state) and any(name.startswith("input_layer.") for name in state)
