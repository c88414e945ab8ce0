"""What the default model's file says of its images and latents, which the tests ask of no other place."""

from gan_edit_engine.library.models import outline

_outlined = outline("default")
assert _outlined is not None, "the default's header is damaged"
_, _generator = _outlined
SIDE, LAYERS = _generator.resolution, _generator.num_ws
