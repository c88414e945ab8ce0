"""Runs inside GIMP: which layer is taken for the photo and which for the scribble, and what is refused."""

import importlib
import json
import sys

from gi.repository import Gimp
from scenes import HEIGHT, LAYER_TYPES, SCRIBBLE_BOX, WIDTH, call, make_image, paint, select


def main(plug_in):
    sys.path.insert(0, plug_in)
    return {
        "scenes": {name: scene(*stack.split(" / ")) for name, stack in STACKS.items()},
        "projected": {name: projected(*stack.split(" / ")) for name, stack in STACKS.items()},
        "alpha that is not used": scene("paint*", "photo", opaque_alpha=True),
        "in a group": in_a_group(),
        "choices": choices("photo*", "photo"),
        "floating": [said(name, *with_floating()) for name in ("gan-edit-scribble", "gan-edit-project")],
        "hidden group": hidden_group(),
        "scribble of another image": of_another_image("gan-edit-scribble", "scribble"),
        "start layer of another image": of_another_image("gan-edit-project", "start-layer"),
        "layers of another image": of_another_image("gan-edit-project", None),
    }


STACKS = {
    "painting leaves it selected": "paint* / photo",
    "a result lies between": "paint* / result / photo",
    "a draft lies between": "paint* / -paint / photo",
    "a named scribble lies between": "paint* / scribble / photo",
    "a named scribble lies above": "scribble / paint* / photo",
    "a hidden named scribble lies above": "-scribble / paint* / photo",
    "a cut-out with its scribble": "scribble / cutout* / photo",
    "a cut-out that was edited": "-scribble / result of 3 / cutout* / photo",
    "the photo is selected": "paint / photo*",
    "several are painted": "paint / paint / photo*",
    "the photo lies above a photo": "paint / photo* / photo",
    "the named one is selected": "scribble* / photo",
    "the photo below is hidden": "paint* / -photo",
    "the photo is hidden": "paint / -photo*",
    "paint above paint": "paint* / paint",
    "nothing is painted": "photo / photo*",
    "one layer": "photo*",
    "nothing below": "scribble*",
}
"""From top to bottom; * is selected, - is hidden. Layers are named after their place, but for a scribble.

A photo is opaque, a cutout is transparent in a corner, paint is transparent but for a block.
"""


def make_stack(*words, opaque_alpha=False):
    """(image, the selected layer). ``opaque_alpha``: photos have an alpha channel that is opaque everywhere."""
    image, photo, scribble = make_image()
    image.remove_layer(photo)
    image.remove_layer(scribble)
    layers = [make_layer(image, word, str(number), opaque_alpha) for number, word in enumerate(words, start=1)]
    for layer, word in zip(layers, words, strict=True):
        if " of " in word:
            made_of = layers[int(word.partition(" of ")[2]) - 1]
            kept = {"kind": "scribble", "photo_tattoo": made_of.get_tattoo(), "photo_name": made_of.get_name()}
            layer.attach_parasite(Gimp.Parasite.new("gan-edit-latent", 1, json.dumps(kept).encode()))
    selected = next(layer for layer, word in zip(layers, words, strict=True) if "*" in word)
    image.set_selected_layers([selected])
    return image, selected


def make_layer(image, word, name, opaque_alpha):
    kind = word.strip("*-").partition(" ")[0]
    with_alpha = opaque_alpha or kind not in ("photo", "result")
    layer = Gimp.Layer.new(image, name, WIDTH, HEIGHT, LAYER_TYPES["rgb", with_alpha], 100, Gimp.LayerMode.NORMAL)
    image.insert_layer(layer, None, int(name) - 1)
    if kind == "scribble":
        layer.set_name(kind)
    if kind == "result":
        layer.attach_parasite(Gimp.Parasite.new("gan-edit-latent", 1, b'{"kind": "scribble"}'))
    box = SCRIBBLE_BOX if kind in ("paint", "scribble") else (0, 0, WIDTH, HEIGHT)
    paint(layer, box, bytes((30, 60, 220, 255)))
    if kind == "cutout":
        paint(layer, (0, 0, 20, 20), bytes(4))
    layer.set_visible("-" not in word)
    return layer


def scene(*layers, opaque_alpha=False):
    """(photo, scribble) by name, or what is said."""
    module, errors = importlib.import_module("layers"), importlib.import_module("gan_edit_protocol.errors")
    image, selected = make_stack(*layers, opaque_alpha=opaque_alpha)
    try:
        found = module.find_scene(image, [selected])
    except errors.GanEditError as error:
        return str(error)
    return found.photo.get_name(), found.scribble.get_name()


def projected(*layers):
    """The name of the photo that is projected, or what is said."""
    module, errors = importlib.import_module("layers"), importlib.import_module("gan_edit_protocol.errors")
    image, selected = make_stack(*layers)
    try:
        return module.find_photo(image, [selected]).get_name()
    except errors.GanEditError as error:
        return str(error)


def in_a_group():
    """The painted layer is alone in a group above the photo."""
    module = importlib.import_module("layers")
    image, selected = make_stack("paint*", "photo")
    group = Gimp.GroupLayer.new(image, "group")
    image.insert_layer(group, None, 0)
    image.reorder_item(selected, group, 0)
    found = module.find_scene(image, [selected])
    return found.photo.get_name(), found.scribble.get_name()


def choices(*layers):
    """What the dialog offers where no scribble is found."""
    module = importlib.import_module("layers")
    image, selected = make_stack(*layers)
    return [(each.photo.get_name(), each.scribble.get_name()) for each in module.possible_scenes(image, [selected])]


def with_floating():
    image, photo, _ = make_image()
    select(image)
    Gimp.edit_copy([photo])
    return image, Gimp.edit_paste(photo, False)


def hidden_group():
    image, photo, _ = make_image(group=True)
    photo.get_parent().set_visible(False)
    return said("gan-edit-scribble", image, [photo])


def of_another_image(name, argument):
    image, photo, _ = make_image()
    _, other, _ = make_image()
    other.set_name("stranger")
    if argument is None:
        return said(name, image, [other])
    return said(name, image, [photo], **{argument: other})


def said(name, image, drawables, **arguments):
    status, values = call(name, image, drawables, **arguments)
    return status, [str(value) for value in values]
