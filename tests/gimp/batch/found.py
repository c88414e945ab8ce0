"""Runs inside GIMP: photos of cats turned and put beside each other, and where the model looked in them."""

import json

import scenes
from gi.repository import Gimp, Gio

QUICK = {"steps": 2, "init_samples": 1, "start": "spread"}


def open_photo(path):
    image = Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, Gio.File.new_for_path(path))
    image.get_layers()[0].set_name("photo")
    return image


def crop_of(layer):
    """The square where the model looked, as it is kept with a result."""
    return json.loads(scenes.parasite_text(layer, "gan-edit-latent"))["crop"]


def main(path, selection, box):
    """Where the model looks for a projection of what is selected, for an edit with paint in ``box`` and no selection,
    and for another projection that starts from the first."""
    image = open_photo(path)
    photo = image.get_layers()[0]
    scenes.select(image, box=selection)
    projection = made(scenes.call("gan-edit-project", image, [photo], **QUICK))
    Gimp.Selection.none(image)
    size = image.get_width(), image.get_height()
    scribble = Gimp.Layer.new(image, "scribble", *size, Gimp.ImageType.RGBA_IMAGE, 100, Gimp.LayerMode.NORMAL)
    image.insert_layer(scribble, None, 0)
    scenes.paint(scribble, box, bytes((30, 60, 220, 255)))
    edit = made(scenes.call("gan-edit-scribble", image, [photo], edit_steps=4, **QUICK))
    again = made(scenes.call("gan-edit-project", image, [photo], start_layer=projection, **QUICK))
    return [crop_of(layer) for layer in (projection, edit, again)]


def made(returned):
    status, values = returned
    if status != "success":
        raise RuntimeError(Gimp.get_pdb().get_last_error())
    return values[0]
