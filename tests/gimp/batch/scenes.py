"""Runs inside GIMP: images of every kind with a photo, a scribble and a selection, and what can be seen of them."""

import hashlib
import struct

import gi

gi.require_version("Babl", "0.1")
gi.require_version("Gegl", "0.4")
from gi.repository import Babl, Gegl, Gimp  # noqa: E402

WIDTH, HEIGHT = 96, 80
SCRIBBLE_BOX = (40, 32, 12, 10)
SELECTION_BOX = (30, 24, 36, 30)
LAYER_TYPES = {
    ("rgb", False): Gimp.ImageType.RGB_IMAGE,
    ("rgb", True): Gimp.ImageType.RGBA_IMAGE,
    ("gray", False): Gimp.ImageType.GRAY_IMAGE,
    ("gray", True): Gimp.ImageType.GRAYA_IMAGE,
}


def rectangle(x, y, width, height):
    return Gegl.Rectangle.new(x, y, width, height)


def photo_bytes(width, height, alpha):
    """A smooth R'G'B'(A) picture with an edge in it; fully transparent in one corner when it has alpha."""
    pixels = bytearray()
    for y in range(height):
        for x in range(width):
            pixels += bytes((60 + x, 40 + 2 * y % 160, 200 if (x // 8 + y // 8) % 2 else 90))
            if alpha:
                pixels.append(0 if x + y < 12 else 255)
    return bytes(pixels)


def make_image(mode="rgb", precision="U8_NON_LINEAR", alpha=False, profile=None, offset=(0, 0), group=False):
    """An image with a layer "photo" (selected) and a layer "scribble" above it with one blue block."""
    base = Gimp.ImageBaseType.GRAY if mode == "gray" else Gimp.ImageBaseType.RGB
    image = Gimp.Image.new_with_precision(WIDTH, HEIGHT, base, getattr(Gimp.Precision, precision))
    if profile == "adobe":
        image.set_color_profile(Gimp.ColorProfile.new_rgb_adobe())
    kind = "gray" if mode == "gray" else "rgb"
    photo = Gimp.Layer.new(image, "photo", WIDTH, HEIGHT, LAYER_TYPES[kind, alpha], 100, Gimp.LayerMode.NORMAL)
    parent = None
    if group:
        parent = Gimp.GroupLayer.new(image, "group")
        image.insert_layer(parent, None, 0)
    image.insert_layer(photo, parent, 0)
    fill(photo, "R'G'B'A u8" if alpha else "R'G'B' u8", photo_bytes(WIDTH, HEIGHT, alpha))
    photo.set_offsets(*offset)
    scribble = Gimp.Layer.new(image, "scribble", WIDTH, HEIGHT, LAYER_TYPES[kind, True], 100, Gimp.LayerMode.NORMAL)
    image.insert_layer(scribble, parent, 0)
    paint(scribble, SCRIBBLE_BOX, bytes((30, 60, 220, 255)))
    if mode == "indexed":
        image.convert_indexed(
            Gimp.ConvertDitherType.NONE, Gimp.ConvertPaletteType.GENERATE, 32, False, False, ""
        )  # fmt: skip
    image.set_selected_layers([photo])
    return image, photo, scribble


def palette(image):
    """The colours of an indexed image; None of another."""
    found = image.get_palette() if image.get_base_type() == Gimp.ImageBaseType.INDEXED else None
    return found and [list(color.get_rgba()) for color in found.get_colors()]


def select(image, feather=0.0, box=SELECTION_BOX):
    image.select_ellipse(Gimp.ChannelOps.REPLACE, *box)
    if feather:
        Gimp.Selection.feather(image, feather)


def fill(layer, babl_format, data):
    write(layer, rectangle(0, 0, layer.get_width(), layer.get_height()), babl_format, data)


def paint(layer, box, color):
    write(layer, rectangle(*box), "R'G'B'A u8", color * (box[2] * box[3]))


def write(layer, area, babl_format, data):
    buffer = layer.get_buffer()
    buffer.set(area, babl_format, data)
    buffer.flush()
    layer.update(area.x, area.y, area.width, area.height)


def raw(drawable):
    """The drawable's own bytes in its own format."""
    area = rectangle(0, 0, drawable.get_width(), drawable.get_height())
    return bytes(drawable.get_buffer().get(area, 1.0, None, Gegl.AbyssPolicy.NONE))


def projection(image):
    """What a person sees, at the image's full depth: bytes, and how many of them make a pixel."""
    copy = image.duplicate()
    Gimp.Selection.none(copy)
    merged = copy.merge_visible_layers(Gimp.MergeType.CLIP_TO_IMAGE)
    left, top = merged.get_offsets()[1:]
    area = rectangle(-left, -top, image.get_width(), image.get_height())
    data = bytes(merged.get_buffer().get(area, 1.0, None, Gegl.AbyssPolicy.NONE))
    copy.delete()
    return data, len(data) // (image.get_width() * image.get_height())


def selection_values(image):
    """One byte per pixel of the image; everything is selected when nothing is."""
    if Gimp.Selection.is_empty(image):
        return bytes([255]) * (image.get_width() * image.get_height())
    area = rectangle(0, 0, image.get_width(), image.get_height())
    return bytes(image.get_selection().get_buffer().get(area, 1.0, "Y u8", Gegl.AbyssPolicy.NONE))


def changed_pixels(before, after, selection, size):
    """(changed outside the selection, changed inside it)."""
    outside = inside = 0
    for index, selected in enumerate(selection):
        if before[index * size : index * size + size] != after[index * size : index * size + size]:
            if selected:
                inside += 1
            else:
                outside += 1
    return outside, inside


def largest_moves(before, after, selection, letter):
    """(largest move outside the selection, largest inside), as a share of white; ``letter``: struct's component."""
    white = 1.0 if letter == "f" else float(2 ** (8 * struct.calcsize(letter)) - 1)
    old, new = (struct.unpack(f"<{len(data) // struct.calcsize(letter)}{letter}", data) for data in (before, after))
    channels = len(old) // len(selection)
    moves = ([0.0], [0.0])
    for index, (was, is_now) in enumerate(zip(old, new, strict=True)):
        moves[1 if selection[index // channels] else 0].append(abs(is_now - was) / white)
    return max(moves[0]), max(moves[1])


def digest(data):
    return hashlib.sha256(data).hexdigest()


def call(name, image=None, drawables=(), **arguments):
    """Run a procedure without windows; (status, the other return values)."""
    procedure = Gimp.get_pdb().lookup_procedure(name)
    config = procedure.create_config()
    if image is not None:
        config.set_property("image", image)
        config.set_core_object_array("drawables", list(drawables))
    for argument, value in arguments.items():
        config.set_property(argument.replace("_", "-"), value)
    returned = procedure.run(config)
    return returned.index(0).value_nick, [returned.index(number) for number in range(1, returned.length())]


def describe(layer):
    """What can be said of a layer in JSON."""
    parent = layer.get_parent()
    mask = layer.get_mask()
    return {
        "name": layer.get_name(),
        "type": layer.type().value_nick,
        "encoding": Babl.format_get_encoding(layer.get_format()),
        "offsets": list(layer.get_offsets()[1:]),
        "size": [layer.get_width(), layer.get_height()],
        "parent": parent.get_name() if parent else None,
        "position": layer.get_image().get_item_position(layer),
        "mask": sorted(set(raw_mask(mask))) if mask else None,
        "parasites": layer.get_parasite_list(),
    }


def raw_mask(mask):
    area = rectangle(0, 0, mask.get_width(), mask.get_height())
    return bytes(mask.get_buffer().get(area, 1.0, "Y u8", Gegl.AbyssPolicy.NONE))


def parasite_text(layer, name):
    return bytes(layer.get_parasite(name).get_data()).decode("ascii")
