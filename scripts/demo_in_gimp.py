"""The demo's work inside GIMP: rough strokes over the irises, the eyes selected, the filter called.

Run by demo.py. ``demo_folder`` is set by the caller. Writes scribble.png, mask.png, result.png, edit.xcf and, last,
answer.json.
"""

import json
import os

import gi

gi.require_version("Gegl", "0.4")
from gi.repository import Gegl, Gimp, Gio  # noqa: E402

BLUE = "#5091dc"
# Corners x, y of the strokes, in pixels of the photo.
STROKES = (
    (146, 118, 152, 112, 172, 130, 194, 124, 196, 131, 170, 139),
    (304, 138, 309, 133, 320, 147, 333, 143, 333, 150, 318, 154),
)
# (centre x, centre y, radius x, radius y).
AROUND_THE_EYES = ((172, 118, 46, 44), (320, 137, 38, 42))
FEATHER = 4.0


def path_of(name):
    return Gio.File.new_for_path(os.path.join(demo_folder, name))  # noqa: F821 - given by the caller


def select(image, operation, ellipses):
    for x, y, radius_x, radius_y in ellipses:
        image.select_ellipse(operation, x - radius_x, y - radius_y, 2 * radius_x, 2 * radius_y)


def new_layer(image, name):
    layer = Gimp.Layer.new(
        image, name, image.get_width(), image.get_height(), Gimp.ImageType.RGBA_IMAGE, 100, Gimp.LayerMode.NORMAL
    )
    image.insert_layer(layer, None, 0)
    return layer


def fill_selection(layer, color):
    Gimp.context_set_foreground(Gegl.Color.new(color))
    layer.edit_fill(Gimp.FillType.FOREGROUND)


def paint_scribble(image):
    """A few strokes of blue, on a layer of their own."""
    scribble = new_layer(image, "scribble")
    for corners in STROKES:
        image.select_polygon(Gimp.ChannelOps.ADD, corners)
    fill_selection(scribble, BLUE)
    Gimp.Selection.none(image)
    return scribble


def edit(image, photo):
    """Filters → GAN Edit → Edit Photo with Scribble…, without its dialog."""
    procedure = Gimp.get_pdb().lookup_procedure("gan-edit-scribble")
    if procedure is None:
        raise RuntimeError("GIMP does not know the plug-in. Run gan-edit install-plugin and try again.")
    config = procedure.create_config()
    config.set_property("image", image)
    config.set_core_object_array("drawables", [photo])
    returned = procedure.run(config)
    if returned.index(0) != Gimp.PDBStatusType.SUCCESS:
        raise RuntimeError(Gimp.get_pdb().get_last_error())


def save(image, name):
    Gimp.file_save(Gimp.RunMode.NONINTERACTIVE, image, path_of(name), None)


def save_layer(image, layer, name):
    """Save one layer alone, with its transparency."""
    copy = image.duplicate()
    Gimp.Selection.none(copy)
    for other in copy.get_layers():
        if other.get_name() != layer.get_name():
            copy.remove_layer(other)
        else:
            other.set_visible(True)
    save(copy, name)
    copy.delete()


def save_mask(image):
    """Save the selection, white on black."""
    mask = Gimp.Image.new(image.get_width(), image.get_height(), Gimp.ImageBaseType.GRAY)
    layer = Gimp.Layer.new(
        mask, "mask", mask.get_width(), mask.get_height(), Gimp.ImageType.GRAY_IMAGE, 100, Gimp.LayerMode.NORMAL
    )
    mask.insert_layer(layer, None, 0)
    area = Gegl.Rectangle.new(0, 0, image.get_width(), image.get_height())
    # A selection is linear coverage ("Y"); a gray layer takes the same numbers as "Y'".
    values = image.get_selection().get_buffer().get(area, 1.0, "Y u8", Gegl.AbyssPolicy.NONE)
    layer.get_buffer().set(area, "Y' u8", values)
    layer.get_buffer().flush()
    save(mask, "mask.png")
    mask.delete()


def run():
    image = Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, path_of("photo.png"))
    photo = image.get_layers()[0]
    scribble = paint_scribble(image)
    select(image, Gimp.ChannelOps.ADD, AROUND_THE_EYES)
    Gimp.Selection.feather(image, FEATHER)
    save_layer(image, scribble, "scribble.png")
    save_mask(image)
    edit(image, photo)
    save(image, "edit.xcf")
    flat = image.duplicate()
    flat.flatten()
    save(flat, "result.png")
    flat.delete()
    image.delete()


problem = ""
try:
    Gegl.init(None)
    run()
except Exception as error:  # told to the person by demo.py
    problem = str(error)
with open(os.path.join(demo_folder, "answer.json"), "w", encoding="utf-8") as answer:  # noqa: F821
    json.dump({"problem": problem}, answer)
