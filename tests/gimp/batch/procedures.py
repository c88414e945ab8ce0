"""Runs inside GIMP: the other procedures, the choice of layers, and what is said when something is wrong."""

import json
import os
import signal
import threading
from pathlib import Path

from at_work import kill_the_plug_in, when_busy
from gi.repository import Gimp
from scenes import (
    LAYER_TYPES,
    call,
    changed_pixels,
    describe,
    digest,
    make_image,
    parasite_text,
    projection,
    raw,
    select,
    selection_values,
)

FEW_STEPS = {"steps": 4, "edit_steps": 12}


def main(config_file, scratch):
    config = json.loads(Path(config_file).read_text())
    answers = {
        "project": project(),
        "random in a selection": random_in_a_selection(),
        "random without a selection": random_without_a_selection(),
        "random without an image": random_without_an_image(),
        "interpolation": interpolation(),
        "interpolation modes": interpolation_modes(),
        "starts": starts(),
        "interpolation of one": call("gan-edit-interpolate", make_image()[0], []),
        "status": call("gan-edit-status"),
        "layers": choice_of_layers(),
        "align": alignment(),
        "errors": errors(),
        "without zmq": without_zmq(Path(config_file).parent),
    }
    # From here on the plug-in is told of other engines than the test's.
    answers["no program"] = with_config(config_file, {**config, **elsewhere(scratch, "a"), "program": ["/no/gan-edit"]})
    answers["program fails"] = with_config(config_file, {**config, **elsewhere(scratch, "b"), "program": ["false"]})
    answers["no config"] = with_config(config_file, None)
    Path(config_file).write_text(json.dumps({**config, **elsewhere(scratch, "c")}))
    answers["no engine"] = call("gan-edit-status")
    answers["killed engine"] = killed_engine(Path(scratch) / "c.json", Path(config_file).parent)
    Path(config_file).write_text(json.dumps(config))
    answers["killed plug-in"] = killed_plug_in(Path(config["connection_file"]), Path(config_file).parent)
    return answers


def project():
    image, photo, _ = make_image()
    select(image, 6)
    before, size = projection(image)
    status, values = call("gan-edit-project", image, [photo], steps=6)
    after, _ = projection(image)
    return status, describe(values[0]), changed_pixels(before, after, selection_values(image), size)


def random_in_a_selection():
    image, _, _ = make_image()
    select(image, box=(20, 10, 50, 40))
    status, values = call("gan-edit-random", image, seed=3)
    return status, describe(values[0])


def interpolation():
    image, photo, _ = make_image()
    chosen = [call("gan-edit-random", image, seed=seed)[1][0] for seed in (3, 4)]
    call("gan-edit-random", image, seed=5)
    status, values = call("gan-edit-interpolate", image, [photo, *chosen], frames=4)
    animation = values[0]
    frames = animation.get_layers()[::-1]
    size = [animation.get_width(), animation.get_height()]
    ends = [digest(raw(layer)) for layer in (frames[0], frames[-1])]
    return status, size, [layer.get_name() for layer in frames], ends


def interpolation_modes():
    """Spherical: how far the ends are from the layers; the others: status and what the layer of the one image is."""
    image, photo, _ = make_image()
    drawn = [call("gan-edit-random", image, seed=seed)[1][0] for seed in (3, 4)]
    status, values = call("gan-edit-interpolate", image, drawn, mode="spherical", frames=3)
    frames = values[0].get_layers()[::-1]
    ends = [largest_difference(raw(a), raw(b)) for a, b in zip((frames[0], frames[-1]), drawn, strict=True)]
    answers = {"spherical": (status, ends, [frame.get_parasite_list() for frame in frames])}
    for mode, more in (("crossover", {}), ("style", {"steps": 2})):
        status, values = call("gan-edit-interpolate", image, drawn, mode=mode, **more)
        answers[mode] = status, [describe(layer) for layer in values[0].get_layers()]
    further = values[0].get_layers()[0]
    answers["too few"] = call("gan-edit-interpolate", image, drawn, mode="transfer")
    projected = call("gan-edit-project", image, [photo], steps=2)[1][0]
    answers["without z"] = call("gan-edit-interpolate", image, [drawn[0], projected], mode="spherical")
    answers["too many"] = call("gan-edit-interpolate", image, [*drawn, projected], mode="crossover")
    answers["transfer"] = call("gan-edit-interpolate", image, [*drawn, projected], mode="transfer")[0]
    copied = Gimp.Layer.new_from_drawable(further, image)  # a layer of another image is none to start from
    image.insert_layer(copied, None, 0)
    answers["of a frame"] = call("gan-edit-project", image, [photo], start_layer=copied, steps=1)[0]
    return answers


def largest_difference(rgb, rgba):
    return max(abs(rgb[3 * i + c] - rgba[4 * i + c]) for i in range(len(rgb) // 3) for c in range(3))


def starts():
    """What is kept with a projection, with one that starts from it and with an edit that does; and two mistakes."""
    image, photo, _ = make_image()
    select(image)
    first = call("gan-edit-project", image, [photo], steps=6, optimize_noise=True, residual=True)[1][0]
    further = call("gan-edit-project", image, [photo], start_layer=first, steps=1, learning_rate=1e-4)[1][0]
    edit = call("gan-edit-scribble", image, [photo], start_layer=first, edit_steps=2)[1][0]
    return {
        "first": json.loads(parasite_text(first, "gan-edit-latent")),
        "further": json.loads(parasite_text(further, "gan-edit-latent")),
        "edit": json.loads(parasite_text(edit, "gan-edit-latent-start")),
        "nothing kept": call("gan-edit-project", image, [photo], start_layer=photo),
        "other model": call("gan-edit-project", image, [photo], start_layer=first, model="dogs"),
    }


def random_without_a_selection():
    image, _, _ = make_image(mode="indexed")
    status, values = call("gan-edit-random", image, seed=3)
    return status, describe(values[0])


def random_without_an_image():
    digests = []
    for seed in (3, 3, 4):
        status, values = call("gan-edit-random", seed=seed)
        digests.append(digest(raw(values[0])))
    image = values[0].get_image()
    return status, describe(values[0]), [image.get_width(), image.get_height()], digests


def choice_of_layers():
    """Which layer is the photo and which the scribble: the result's digest tells."""
    answers = {}
    for name in ("named", "given", "topmost", "above the group", "scribble selected"):
        image, photo, scribble = make_image(group=name == "above the group")
        if name in ("given", "topmost", "above the group"):
            scribble.set_name("colours")
        if name == "above the group":
            image.reorder_item(scribble, None, 0)
        if name == "topmost":
            insert_empty_between(image, photo)
        chosen = [scribble] if name == "scribble selected" else [photo]
        image.set_selected_layers(chosen)
        arguments = {"scribble": scribble} if name == "given" else {}
        status, values = call("gan-edit-scribble", image, chosen, **FEW_STEPS, **arguments)
        answers[name] = status, digest(raw(values[0])), [layer.get_name() for layer in image.get_selected_layers()]
    return answers


def insert_empty_between(image, photo):
    empty = Gimp.Layer.new(image, "empty", 10, 10, LAYER_TYPES["rgb", True], 100, Gimp.LayerMode.NORMAL)
    image.insert_layer(empty, None, image.get_item_position(photo))


def alignment():
    """Digests of the result without a path, with two anchors, and with the same two in the other order."""
    digests = []
    for points in ((), ((30, 40), (66, 40)), ((66, 40), (30, 40))):
        image, photo, _ = make_image(offset=(3, 5))
        if points:
            add_path(image, points)
        _, values = call("gan-edit-scribble", image, [photo], **FEW_STEPS)
        digests.append(digest(raw(values[0])))
    return digests


def add_path(image, points):
    path = Gimp.Path.new(image, "align")
    image.insert_path(path, None, 0)
    controls = [number for x, y in points for number in (x, y) * 3]
    path.stroke_new_from_points(Gimp.PathStrokeType.BEZIER, controls, False)


def errors():
    answers = {}
    image, photo, scribble = make_image()
    answers["two layers"] = call("gan-edit-scribble", image, [photo, scribble])
    answers["unknown model"] = call("gan-edit-scribble", image, [photo], model="no-such-model")
    add_path(image, ((1, 1), (2, 2), (3, 3)))
    answers["three anchors"] = call("gan-edit-scribble", image, [photo])
    image, photo, scribble = make_image()
    select(image, box=(2, 2, 8, 8))
    answers["nothing painted there"] = call("gan-edit-scribble", image, [photo])
    photo.set_offsets(50, 50)
    answers["selection beside the layer"] = call("gan-edit-project", image, [photo])
    image.remove_layer(scribble)
    Gimp.Selection.none(image)
    answers["no scribble layer"] = call("gan-edit-scribble", image, [photo])
    image, photo, scribble = make_image(group=True)
    answers["a group"] = call("gan-edit-project", image, [photo.get_parent()])
    answers["layers afterwards"] = [layer.get_name() for layer in image.get_layers()[0].get_children()]
    return answers


def without_zmq(plug_in):
    """The same through the relay, as in a GIMP whose Python has no pyzmq."""
    hidden = plug_in / "zmq.py"
    hidden.write_text("raise ImportError('no zmq here')")
    image, photo, _ = make_image()
    answers = [call("gan-edit-status"), call("gan-edit-scribble", image, [photo], **FEW_STEPS)]
    hidden.unlink()
    return answers[0], answers[1][0], digest(raw(answers[1][1][0]))


def elsewhere(scratch, name):
    return {"connection_file": f"{scratch}/{name}.json", "engine_log": f"{scratch}/{name}.log"}


def with_config(config_file, config):
    """What a random image says with this config file in the plug-in's folder, or with none."""
    path = Path(config_file)
    path.unlink()
    if config is not None:
        path.write_text(json.dumps(config))
    return call("gan-edit-random")


def killed_engine(connection_file, plug_in):
    """Kill an engine, which the plug-in has started, in the middle of an edit; then edit again."""
    image, photo, _ = make_image()
    before, _ = projection(image)
    helper = threading.Thread(target=when_busy, args=(connection_file, plug_in, kill_engine))
    helper.start()
    failed = call("gan-edit-scribble", image, [photo], steps=20000)
    helper.join()
    untouched = projection(image)[0] == before and len(image.get_layers()) == 2
    status, values = call("gan-edit-scribble", image, [photo], **FEW_STEPS)
    call("gan-edit-status", end_engine=True)
    return {"failed": failed, "untouched": untouched, "again": status}


def killed_plug_in(connection_file, plug_in):
    """And an edit after that."""
    image, photo, _ = make_image()
    killed = kill_the_plug_in(connection_file, plug_in, image, photo)
    killed["again"], _ = call("gan-edit-scribble", image, [photo], **FEW_STEPS)
    return killed


def kill_engine(_, found):
    os.kill(found.pid, signal.SIGKILL)
