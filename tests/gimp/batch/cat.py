"""Runs inside GIMP: the cat's photo with blue irises painted, and the eyes selected."""

from gi.repository import Gimp, Gio
from scenes import changed_pixels, digest, projection, rectangle, selection_values, write

EYES = ((172, 118), (320, 137))
RADII = (28, 20)
"""The irises' radii; the right eye is turned away."""
BLUE = bytes((40, 110, 235, 255))


def open_cat(path):
    """(image, photo, scribble), shown in a window."""
    image = Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, Gio.File.new_for_path(path))
    photo = image.get_layers()[0]
    photo.set_name("cat")
    size = (image.get_width(), image.get_height())
    scribble = Gimp.Layer.new(image, "scribble", *size, Gimp.ImageType.RGBA_IMAGE, 100, Gimp.LayerMode.NORMAL)
    image.insert_layer(scribble, None, 0)
    Gimp.Selection.none(image)
    for (x, y), radius in zip(EYES, RADII, strict=True):
        paint_iris(scribble, x, y, radius)
        image.select_ellipse(Gimp.ChannelOps.ADD, x - 40, y - 34, 80, 68)
    Gimp.Selection.feather(image, 8)
    image.set_selected_layers([photo])
    image.clean_all()
    Gimp.Display.new(image)
    return image, photo, scribble


class OpenedCat:
    """An opened cat that knows what it was like before it is edited."""

    def __init__(self, path):
        self.image, _, self.scribble = open_cat(path)
        self._selection = selection_values(self.image)
        self.scribble.set_visible(False)
        self._photo, self._size = projection(self.image)
        self.scribble.set_visible(True)
        self._seen = digest(projection(self.image)[0])
        self.image.clean_all()

    def changed_pixels(self):
        """(outside the selection, inside it), against the photo without its scribble."""
        return changed_pixels(self._photo, projection(self.image)[0], self._selection, self._size)

    def is_as_before(self):
        return digest(projection(self.image)[0]) == self._seen


def paint_iris(layer, x, y, radius):
    side = 2 * radius + 1
    pixels = (
        BLUE if is_painted(column - radius, row - radius, radius) else bytes(4)
        for row in range(side)
        for column in range(side)
    )
    write(layer, rectangle(x - radius, y - radius, side, side), "R'G'B'A u8", b"".join(pixels))


def iris_colors(image):
    """The mean colour (R', G', B' in 0-255) of what is seen where each iris was painted."""
    data, size = projection(image)
    colors = []
    for (x, y), radius in zip(EYES, RADII, strict=True):
        pixels = [
            data[(row * image.get_width() + column) * size :][:3]
            for row in range(y - radius, y + radius + 1)
            for column in range(x - radius, x + radius + 1)
            if is_painted(column - x, row - y, radius)
        ]
        colors.append([sum(channel) / len(pixels) for channel in zip(*pixels, strict=True)])
    return colors


def is_painted(right, down, radius):
    """An iris: a disc with the slit of its pupil left out."""
    in_pupil = (right / (0.3 * radius)) ** 2 + (down / (0.7 * radius)) ** 2 < 1
    return right**2 + down**2 <= radius**2 and not in_pupil
