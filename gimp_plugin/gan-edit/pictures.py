"""Pictures of the model's own: random ones, those that a scribble alone asks for, and the way between several."""

from __future__ import annotations

from gi.repository import Gimp

import arguments
import insert
import layers
import parasites
import pixels
import stack
from call import Call, Values, engine_for, image_of, run_job
from gan_edit_protocol.errors import GanEditError
from gan_edit_protocol.latent import Latent
from gan_edit_protocol.requests import ImagineRequest, InterpolateRequest, RandomRequest
from gan_edit_protocol.settings import ImagineSettings, InterpolateSettings, RandomSettings


def random_image(call: Call) -> Values:
    """Put a random image of the model into the open image, or into a new one."""
    call.ask()
    settings = arguments.read_settings(call.config, RandomSettings)
    model = call.config.get_property("model")
    result = run_job(call, lambda *_: RandomRequest(model, settings), "Drawing a random image")
    if call.image is not None:
        with insert.one_undo_step(call.image):
            layer = insert.insert_picture(call.image, result, "random", settings, model)
        return [(Gimp.Layer, layer)]
    height, width = result.image.shape[:2]
    image = Gimp.Image.new(width, height, Gimp.ImageBaseType.RGB)
    layer = insert.insert_picture(image, result, "random", settings, model)
    if call.interactive:
        Gimp.Display.new(image)
    return [(Gimp.Layer, layer)]


def imagine(call: Call) -> Values:
    """Put images of the model that a scribble alone asks for on top of the image."""
    image = image_of(call)
    found = layers.find_painting(image, call.drawables, call.config.get_property("scribble"))
    call.config.set_property("scribble", found)
    call.ask()
    scribble = layers.find_painting(image, call.drawables, call.config.get_property("scribble"))
    settings = arguments.read_settings(call.config, ImagineSettings)
    paint = pixels.read_paint(scribble, insert.square(image))
    layers.require_painted(scribble, paint, None, "in the square of the selection or the canvas")
    request = ImagineRequest(paint, call.config.get_property("model"), settings)
    with engine_for(call, "Imagining") as (client, bar):
        result = client.run(request, bar.show)
    with insert.one_undo_step(image):
        layer = insert.insert_candidates(image, result, settings, request.model)
    return [(Gimp.Layer, layer)]


def interpolate(call: Call) -> Values:
    """Make a new image whose layers are the way between the latents of several layers."""
    image = image_of(call)
    stops = _stops(image, call.drawables)
    call.ask([layer.get_name() for layer, _ in stops])
    settings = arguments.read_settings(call.config, InterpolateSettings)
    latents = [kept for _, kept in stops]
    request = InterpolateRequest.between(latents, latents[0].model, settings)
    with engine_for(call, "Interpolating") as (client, bar):
        animation = insert.new_animation(client.frames(request, bar.show), settings, request.model)
    if call.interactive:
        Gimp.Display.new(animation)
    return [(Gimp.Image, animation)]


def _stops(image: Gimp.Image, chosen: list[Gimp.Drawable]) -> list[tuple[Gimp.Layer, Latent]]:
    """The chosen layers, or all where fewer than two are chosen, that keep a latent, from the lowest layer up."""
    candidates = stack.plain_layers(image)
    if len(chosen) >= 2:
        candidates = [layer for layer in candidates if layer in chosen]
    stops = [(layer, kept) for layer in reversed(candidates) if (kept := parasites.read(layer)) is not None]
    if len(stops) < 2:
        raise GanEditError(
            "too_few_latents",
            f"Interpolation needs two layers made by GAN Edit, and there are {len(stops)}.",
            "Make some with Random Image or Project Photo, or select them.",
        )
    if len({(kept.model, kept.ws.shape) for _, kept in stops}) > 1:
        raise GanEditError("bad_latent", "The layers come from different models.", "Select layers of one model.")
    return stops
