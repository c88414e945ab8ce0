"""Runs inside GIMP: photos and scribbles that look otherwise than they are stored; what is read of them and changed."""

import importlib
import sys

from gi.repository import Gegl, Gimp
from scenes import (
    HEIGHT,
    LAYER_TYPES,
    WIDTH,
    call,
    largest_moves,
    make_image,
    paint,
    projection,
    rectangle,
    select,
    write,
)

STRENGTH_0 = {"steps": 1, "edit_steps": 1, "strength": 0.0}
PRECISIONS = ("U8_LINEAR", "U16_NON_LINEAR", "FLOAT_NON_LINEAR", "FLOAT_LINEAR")
BLUE = bytes((30, 60, 220, 255))
"""The scribble's colour."""


def main(plug_in):
    sys.path.insert(0, plug_in)
    return {
        "places": {
            f"{look}, {place}": moved(look, place, "U8_NON_LINEAR")
            for look in LOOKS
            for place in PLACES
            if (look, place) != ("Dissolve", "beyond the canvas")  # its pattern begins in the canvas's corner
        },
        "precisions": {
            precision: {look: moved(look, "above glass", precision) for look in LOOKS} for precision in PRECISIONS
        },
        "edits": {look: edit_of_strength_0(look) for look in ("filter", "layer mask", "half opacity", "Multiply")},
        "scribbles": {look: scribble(look) for look in SCRIBBLES},
        "scribble in a faint group": scribble_in_a_faint_group(),
        "unseen scribbles": [unseen_scribble(look) for look in ("no opacity", "black mask")],
        "result": selected_result(),
    }


def added_filter(layer, operation, **values):
    added = Gimp.DrawableFilter.new(layer, operation, "")
    for name, value in values.items():
        added.get_config().set_property(name.replace("_", "-"), value)
    added.update()
    layer.append_filter(added)


def hue_filter(layer):
    added_filter(layer, "gegl:hue-chroma", hue=70.0)


def hidden_filter(layer):
    hue_filter(layer)
    layer.get_filters()[0].set_visible(False)


def slanted_mask(layer):
    add_mask(layer, lambda x, y: (2 * x + y) % 256)


def black_mask(layer):
    add_mask(layer, lambda x, y: 0)


def unused_mask(layer):
    black_mask(layer)
    layer.set_apply_mask(False)


def add_mask(layer, value):
    width, height = layer.get_width(), layer.get_height()
    mask = layer.create_mask(Gimp.AddMaskType.WHITE)
    layer.add_mask(mask)
    values = bytes(value(x, y) for y in range(height) for x in range(width))
    write(mask, rectangle(0, 0, width, height), "Y u8", values)


def opacity(percent):
    return lambda layer: layer.set_opacity(percent)


def mode(name):
    return lambda layer: layer.set_mode(getattr(Gimp.LayerMode, name))


def several(*looks):
    def change(layer):
        for look in looks:
            look(layer)

    return change


LOOKS = {
    "as stored": several(),
    "filter": hue_filter,
    "hidden filter": hidden_filter,
    "blur": lambda layer: added_filter(layer, "gegl:gaussian-blur", std_dev_x=3.0, std_dev_y=3.0),
    "layer mask": slanted_mask,
    "unused mask": unused_mask,
    "half opacity": opacity(50),
    "no opacity": opacity(0),
    "Multiply": mode("MULTIPLY"),
    "LCh Color": mode("LCH_COLOR"),
    "old Multiply": mode("MULTIPLY_LEGACY"),
    "Dissolve": several(mode("DISSOLVE"), opacity(60)),
    "clipped": lambda layer: layer.set_composite_mode(Gimp.LayerCompositeMode.CLIP_TO_BACKDROP),
    "all at once": several(hue_filter, slanted_mask, opacity(70), mode("OVERLAY")),
    "half transparent": lambda layer: paint(layer, (44, 34, 20, 16), bytes((90, 80, 40, 100))),
}
PLACES = {
    "above a picture": {},
    "above glass": {},
    "above nothing": {"alpha": True},
    "in a group": {"group": True, "alpha": True},
    "beyond the canvas": {"offset": (-20, 14), "alpha": True},
}
SCRIBBLES = {
    "as stored": several(),
    "hidden": lambda layer: layer.set_visible(False),
    "half opacity": opacity(50),
    "slanted mask": slanted_mask,
    "filter": lambda layer: added_filter(layer, "gegl:invert-gamma"),
    "Multiply": mode("MULTIPLY"),
    "old Multiply": mode("MULTIPLY_LEGACY"),
    "clipped": lambda layer: layer.set_composite_mode(Gimp.LayerCompositeMode.CLIP_TO_BACKDROP),
}


def whole(layer):
    """All of a layer, as a part of it."""
    box = importlib.import_module("gan_edit_protocol.geometry").Box
    return box(0, 0, layer.get_width(), layer.get_height())


def moved(look, place, precision):
    """How far what is seen moves when the photo's own look is put over it, as an edit of strength 0 does it.

    As a share of white; the number of open images besides, of which none may be left behind.
    """
    names = ("insert", "look", "parasites", "pixels")
    insert, look_module, parasites, pixels = (importlib.import_module(name) for name in names)
    arrays, events, latent, settings = (
        importlib.import_module(f"gan_edit_protocol.{name}") for name in ("arrays", "events", "latent", "settings")
    )
    image, photo = make_scene(look, place, precision)
    before = seen(image)
    with look_module.photo_as_seen(photo) as layer:
        photo_pixels = pixels.read_photo(layer, whole(photo))
    selected = None if Gimp.Selection.is_empty(image) else pixels.read_selection(image, photo, whole(photo))
    result = events.ResultReady(photo_pixels, latent.Latent(arrays.Array("float32", (1, 1), bytes(4))), selected)
    origin = parasites.Origin.of_photo("scribble", photo)
    insert.insert_edit(photo, result, origin, settings.EditSettings(), "m")
    letter = {"U8": "B", "U16": "H", "FLOAT": "f"}[precision.partition("_")[0]]
    everywhere = bytes([1]) * (WIDTH * HEIGHT)
    answer = largest_moves(before, seen(image), everywhere, letter)[1], len(Gimp.get_images())
    image.delete()
    return answer


def make_scene(look, place, precision):
    """(image, photo) with the look on the photo, a feathered selection and a hidden scribble."""
    image, photo, layer = make_image(precision=precision, **PLACES[place])
    layer.set_visible(False)
    if photo.get_parent():
        several(opacity(60), mode("MULTIPLY"), slanted_mask)(photo.get_parent())
    if place != "above nothing":
        picture_below(image, photo, glass=place == "above glass")
    LOOKS[look](photo)
    select(image, 6)
    return image, photo


def picture_below(image, photo, glass):
    below = Gimp.Layer.new(image, "below", WIDTH, HEIGHT, LAYER_TYPES["rgb", True], 100, Gimp.LayerMode.NORMAL)
    image.insert_layer(below, photo.get_parent(), image.get_item_position(photo) + 1)
    colours = (
        bytes((255 - 2 * x, (x * y) % 251, (7 * y) % 256, 40 + x if glass else 255))
        for y in range(HEIGHT)
        for x in range(WIDTH)
    )
    write(below, rectangle(0, 0, WIDTH, HEIGHT), "R'G'B'A u8", b"".join(colours))


def seen(image):
    """What is on the screen, at the image's full depth."""
    layer = Gimp.Layer.new_from_visible(image, image, "seen")
    area = rectangle(0, 0, image.get_width(), image.get_height())
    return bytes(layer.get_buffer().get(area, 1.0, None, Gegl.AbyssPolicy.NONE))


def edit_of_strength_0(look):
    """An edit by the engine: how it ended, and whether anything changed on the screen and in an export."""
    image, photo = make_scene(look, "above a picture", "U8_NON_LINEAR")
    before = seen(image), projection(image)
    status, _ = call("gan-edit-scribble", image, [photo], **STRENGTH_0)
    return status, (seen(image), projection(image)) == before


def scribble(look):
    """Two pixels of the scribble as the engine gets it, of the paint and beside it; both as they are on the screen."""
    image, photo, layer = make_image()
    SCRIBBLES[look](layer)
    return [*scribble_pixels(layer, photo), *two_pixels(seen(image))]


def scribble_pixels(layer, photo):
    look_module, pixels = importlib.import_module("look"), importlib.import_module("pixels")
    with look_module.paint_as_seen(layer, photo) as paint_layer:
        return two_pixels(pixels.read_scribble(paint_layer, photo, whole(photo)).data)


def two_pixels(data):
    return [list(data[4 * (y * WIDTH + x) :][:4]) for x, y in ((45, 36), (4, 36))]


def scribble_in_a_faint_group():
    image, photo, layer = make_image()
    group = Gimp.GroupLayer.new(image, "group")
    image.insert_layer(group, None, 0)
    image.reorder_item(layer, group, 0)
    group.set_opacity(50)
    return scribble_pixels(layer, photo)


def unseen_scribble(look):
    image, photo, layer = make_image()
    {**LOOKS, "black mask": black_mask}[look](layer)
    status, values = call("gan-edit-scribble", image, [photo])
    return status, [str(value) for value in values]


def selected_result():
    """Whether the photo of an edit of a result is what is seen of both, and the result's layer mask counts."""
    look_module, pixels = importlib.import_module("look"), importlib.import_module("pixels")
    image, photo, layer = make_image()
    layer.set_visible(False)
    result = Gimp.Layer.new(image, "result", WIDTH, HEIGHT, LAYER_TYPES["rgb", False], 100, Gimp.LayerMode.NORMAL)
    image.insert_layer(result, None, 1)
    paint(result, (0, 0, WIDTH, HEIGHT), BLUE)
    add_mask(result, lambda x, y: 255 if x < WIDTH // 2 else 0)
    with look_module.photo_as_seen(result) as read:
        data = pixels.read_photo(read, whole(result)).data
    return data == seen(image)
