"""Runs inside GIMP: one edit per case; answers with what each did to its image."""

from scenes import (
    call,
    changed_pixels,
    describe,
    digest,
    largest_moves,
    make_image,
    palette,
    parasite_text,
    projection,
    raw,
    select,
    selection_values,
)

FEW_STEPS = {"steps": 4, "edit_steps": 12}


def main(cases):
    return {name: run_case(**case) for name, case in cases.items()}


def run_case(image_options, feather, selected, numbers):
    """``numbers``: the struct letter of the image's components, to measure how far they move."""
    image, photo, scribble = make_image(**image_options)
    if selected:
        select(image, feather)
    before, size = seen_without(image, scribble)
    photo_before, palette_before = raw(photo), palette(image)
    status, values = call("gan-edit-scribble", image, [photo], **FEW_STEPS)
    if status != "success":
        return {"status": status, "values": values}
    layer = values[0]
    after, _ = projection(image)
    outside, inside = changed_pixels(before, after, selection_values(image), size)
    moved = largest_moves(before, after, selection_values(image), numbers) if numbers else (None, None)
    answer = {
        "status": status,
        "layer": describe(layer),
        "photo": describe(photo),
        "photo_untouched": raw(photo) == photo_before,
        "palette_kept": palette(image) == palette_before,
        "scribble_visible": scribble.get_visible(),
        "changed_outside": outside,
        "changed_inside": inside,
        "moved_outside": moved[0],
        "moved_inside": moved[1],
        "digest": digest(after),
        "selected_layers": [layer.get_name() for layer in image.get_selected_layers()],
        "channels": len(image.get_channels()),
        "latent": parasite_text(layer, "gan-edit-latent"),
    }
    image.delete()
    return answer


def seen_without(image, scribble):
    """The projection as it was before the scribble was made."""
    scribble.set_visible(False)
    seen = projection(image)
    scribble.set_visible(True)
    return seen
