"""Runs inside GIMP: edits of a photo that was edited before; answers with where the results lie and what they show."""

import json
import os

from gi.repository import Gimp, Gio
from scenes import LAYER_TYPES, SCRIBBLE_BOX, call, digest, make_image, paint, parasite_text, projection, raw, select

STEPS = {"steps": 2, "edit_steps": 4}
ONE_STEP = {"steps": 1, "edit_steps": 1}
"""Enough where only places count."""
RED = bytes((220, 40, 30, 255))
LATENT = "gan-edit-latent"
NOT_KEPT_BY_EARLIER_VERSIONS = ("photo_tattoo", "photo_name")


def main(scratch):
    cases = {
        "photo selected": photo_selected,
        "scribble selected": scribble_selected,
        "scribble selected in a group": lambda: scribble_selected(group=True),
        "scribble under the result": scribble_under_the_result,
        "result selected": result_selected,
        "mask of the result selected": lambda: result_selected(by_mask=True),
        "result without an entry": result_without_an_entry,
        "copied image": copied_image,
        "results in a group": results_in_a_group,
        "copy of the photo": copy_of_the_photo,
        "two photos": two_photos,
        "retouched": lambda: retouched(os.path.join(scratch, "retouched.xcf")),
        "random image": random_image,
        "nothing but results": nothing_but_results,
        "projections": projections,
    }
    return {name: case() for name, case in cases.items()}


def photo_selected():
    """Edit, repaint the scribble, edit again."""
    image, photo, scribble = edited(STEPS)
    seen = digest(projection(image)[0])
    repaint(scribble)
    layer = edit(image, photo, STEPS)
    return {**answer(layer), "seen_anew": digest(projection(image)[0]) != seen}


def scribble_selected(group=False):
    """The same, but after repainting the scribble's layer is still the selected one."""
    image, _, scribble = edited(STEPS, group=group)
    repaint(scribble)
    return answer(edit(image, scribble, STEPS))


def scribble_under_the_result():
    """The scribble has no name to be known by, and the result was moved above it."""
    image, photo, scribble = edited(STEPS)
    image.reorder_item(image.get_layers()[1], None, 0)
    repaint(scribble)
    scribble.set_name("colours")
    return answer(edit(image, photo, STEPS))


def result_selected(by_mask=False):
    """A third edit, of the first one's result."""
    image, photo, _ = edited(ONE_STEP)
    first = image.get_layers()[1]
    edit(image, photo, ONE_STEP)
    return answer(edit(image, first.get_mask() if by_mask else first, ONE_STEP))


def result_without_an_entry():
    image, photo, scribble = edited(ONE_STEP)
    first = image.get_layers()[1]
    kept = json.loads(parasite_text(first, LATENT))
    earlier = {name: value for name, value in kept.items() if name not in NOT_KEPT_BY_EARLIER_VERSIONS}
    first.attach_parasite(Gimp.Parasite.new(LATENT, 1, json.dumps(earlier).encode()))
    answers = [answer(edit(image, scribble, ONE_STEP))]
    first.attach_parasite(Gimp.Parasite.new(LATENT, 1, b"not what was written"))
    return [*answers, answer(edit(image, photo, ONE_STEP))]


def copied_image():
    """In a copy the layers' tattoos are others: the scribble has the number that the photo had."""
    copy = edited(ONE_STEP)[0].duplicate()
    scribble, _, photo = copy.get_layers()
    return [answer(edit(copy, scribble, ONE_STEP)), answer(edit(copy, photo, ONE_STEP))]


def results_in_a_group():
    image, photo, _ = edited(ONE_STEP)
    group = Gimp.GroupLayer.new(image, "edits")
    image.insert_layer(group, None, 1)
    image.reorder_item(image.get_layers()[2], group, 0)
    return answer(edit(image, photo, ONE_STEP))


def copy_of_the_photo():
    """The photo is copied after its edit, and the copy is edited: the first result lies over that, too."""
    image, photo, _ = edited(ONE_STEP)
    copy = photo.copy()
    image.insert_layer(copy, None, 2)
    return answer(edit(image, copy, ONE_STEP))


def two_photos():
    """Two photos over one another, each with a result; then the lower one again."""
    image, lower, _ = edited(ONE_STEP)
    upper = Gimp.Layer.new_from_drawable(lower, image)
    upper.set_name("upper photo")
    image.insert_layer(upper, None, 1)
    edit(image, upper, ONE_STEP)
    return answer(edit(image, lower, ONE_STEP))


def retouched(path):
    """Something is painted between the photo and its result, and the image was saved, closed and opened."""
    image = edited(ONE_STEP)[0]
    image.insert_layer(transparent(image, "retouched"), None, 2)
    file = Gio.File.new_for_path(path)
    Gimp.file_save(Gimp.RunMode.NONINTERACTIVE, image, file, None)
    image.delete()
    opened = Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, file)
    return answer(edit(opened, opened.get_layers()[0], ONE_STEP))


def random_image():
    """A random image above a scribble without a name; then below the scribble, which is selected twice."""
    image, photo, scribble = make_image()
    call("gan-edit-random", image, seed=3)
    scribble.set_name("colours")
    answers = [answer(edit(image, photo, ONE_STEP))]
    scribble.set_name("scribble")
    image.reorder_item(scribble, None, 0)
    return [*answers, answer(edit(image, scribble, ONE_STEP)), answer(edit(image, scribble, ONE_STEP))]


def nothing_but_results():
    image, photo, scribble = edited(ONE_STEP)
    image.remove_layer(photo)
    status, values = call("gan-edit-scribble", image, [scribble], **ONE_STEP)
    return status, [str(value) for value in values]


def projections():
    """Projections and edits of one photo."""
    image, photo, _ = edited(ONE_STEP)
    call("gan-edit-project", image, [photo], steps=1)
    return answer(edit(image, photo, ONE_STEP))


def edited(settings, group=False):
    """An image, its photo and its scribble, after one edit."""
    image, photo, scribble = make_image(group=group)
    select(image)
    edit(image, photo, settings)
    return image, photo, scribble


def edit(image, drawable, settings):
    status, values = call("gan-edit-scribble", image, [drawable], **settings)
    if status != "success":
        raise RuntimeError(values)
    return values[0]


def repaint(scribble):
    paint(scribble, SCRIBBLE_BOX, RED)
    scribble.set_visible(True)


def transparent(image, name):
    size = (image.get_width(), image.get_height())
    return Gimp.Layer.new(image, name, *size, LAYER_TYPES["rgb", True], 100, Gimp.LayerMode.NORMAL)


def answer(layer):
    """The names beside the new layer from top to bottom, those that are hidden, its photo and its pixels' digest."""
    parent = layer.get_parent()
    beside = parent.get_children() if parent else layer.get_image().get_layers()
    return {
        "names": [each.get_name() for each in beside],
        "hidden": [each.get_name() for each in beside if not each.get_visible()],
        "photo": json.loads(parasite_text(layer, LATENT)).get("photo_name"),
        "digest": digest(raw(layer)),
    }
