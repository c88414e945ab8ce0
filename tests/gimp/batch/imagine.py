"""Runs inside GIMP: images from a scribble without a photo; answers with the layers that it makes."""

from gi.repository import Gimp
from scenes import LAYER_TYPES, call, describe, digest, fill, paint, projection, raw

QUICK = {"candidates": 2, "samples": 8, "steps": 3}
WIDTH, HEIGHT = 200, 120
BLUE = bytes((60, 130, 230, 255))
EYES = ((68, 44, 14, 8), (118, 44, 14, 8))


def main():
    return {
        "canvas": on_the_canvas(),
        "canvas selected": on_the_canvas(select_canvas=True),
        "selection": in_a_selection(),
        "again": again(),
        "gray": on_the_canvas(mode=Gimp.ImageBaseType.GRAY),
        "edited further": edited_further(),
        "errors": errors(),
    }


def on_the_canvas(select_canvas=False, mode=Gimp.ImageBaseType.RGB):
    image, canvas, scribble = painted(mode)
    before = [digest(raw(layer)) for layer in (canvas, scribble)]
    chosen = canvas if select_canvas else scribble
    status, values = call("gan-edit-imagine", image, [chosen], **QUICK)
    return {
        "status": status,
        **seen(image, values[0]),
        "selected": [layer.get_name() for layer in image.get_selected_layers()],
        "untouched": before == [digest(raw(layer)) for layer in (canvas, scribble)],
    }


def in_a_selection():
    image, _, scribble = painted()
    image.select_rectangle(Gimp.ChannelOps.REPLACE, 50, 30, 100, 60)
    status, values = call("gan-edit-imagine", image, [scribble], **QUICK)
    return {"status": status, **seen(image, values[0])}


def again():
    """The result is selected, and the scribble has its name: the same images come again, above the first ones."""
    image, _, scribble = painted()
    first = call("gan-edit-imagine", image, [scribble], **QUICK)[1][0]
    second = call("gan-edit-imagine", image, [first], **QUICK)[1][0]
    other = call("gan-edit-imagine", image, [scribble], seed=5, **QUICK)[1][0]
    digests = [digest(raw(layer)) for layer in (first, second, other)]
    return {"same": digests[0] == digests[1], "other": digests[0] != digests[2], **seen(image, second)}


def edited_further():
    """An imagined layer is a photo like any other, and keeps the latent that an edit can start from."""
    image, _, scribble = painted()
    layer = call("gan-edit-imagine", image, [scribble], **QUICK)[1][0]
    status, values = call("gan-edit-scribble", image, [layer], scribble=scribble, start_layer=layer, edit_steps=2)
    return status, values[0].get_name() if status == "success" else str(values[0])


def errors():
    image, _, scribble = painted()
    image.select_rectangle(Gimp.ChannelOps.REPLACE, 0, 80, 30, 30)
    nothing = call("gan-edit-imagine", image, [scribble], **QUICK)
    group = Gimp.GroupLayer.new(image, "group")
    image.insert_layer(group, None, 0)
    of_group = call("gan-edit-imagine", image, [scribble], scribble=group, **QUICK)
    return {
        "nothing painted": (nothing[0], str(nothing[1][0])),
        "a group": (of_group[0], str(of_group[1][0])),
        "names afterwards": [layer.get_name() for layer in image.get_layers()],
    }


def painted(mode=Gimp.ImageBaseType.RGB):
    """A white canvas without alpha and, above it, a transparent layer "scribble" with two blue eyes."""
    image = Gimp.Image.new(WIDTH, HEIGHT, mode)
    kind = "gray" if mode == Gimp.ImageBaseType.GRAY else "rgb"
    canvas = Gimp.Layer.new(image, "canvas", WIDTH, HEIGHT, LAYER_TYPES[kind, False], 100, Gimp.LayerMode.NORMAL)
    image.insert_layer(canvas, None, 0)
    fill(canvas, "R'G'B' u8", bytes([255]) * (3 * WIDTH * HEIGHT))
    scribble = Gimp.Layer.new(image, "scribble", WIDTH, HEIGHT, LAYER_TYPES[kind, True], 100, Gimp.LayerMode.NORMAL)
    image.insert_layer(scribble, None, 0)
    for eye in EYES:
        paint(scribble, eye, BLUE)
    image.set_selected_layers([scribble])
    return image, canvas, scribble


def seen(image, layer):
    """The layers' names from top to bottom, those that are hidden, and the new one."""
    beside = image.get_layers()
    with_it = digest(projection(image)[0])
    layer.set_visible(False)
    return {
        "names": [each.get_name() for each in beside],
        "hidden": [each.get_name() for each in beside if not each.get_visible() and each != layer],
        "layer": describe(layer),
        "shows": with_it != digest(projection(image)[0]),
        "differ": len({digest(raw(each)) for each in beside}) == len(beside),
    }
