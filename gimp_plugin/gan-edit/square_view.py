"""The photo in a dialog with the square where the model looks: found, chosen by a click, moved, sized and turned."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

import gi

import square

gi.require_version("Gdk", "3.0")
gi.require_version("GdkPixbuf", "2.0")
gi.require_version("Gtk", "3.0")
gi.require_foreign("cairo")

import cairo  # noqa: E402
from gi.repository import Gdk, GdkPixbuf, GLib, Gtk  # noqa: E402  (after require_version)

from gan_edit_protocol.arrays import Array  # noqa: E402
from gan_edit_protocol.geometry import Align, Crop  # noqa: E402

WIDTH, HEIGHT = 340, 230
"""Of the view, in the units of the screen's size: the photo lies in it with what the square covers beyond."""
_MARGIN = 8
_BEYOND = 0.5  # how far beyond the photo the view goes at most, in longer sides of it
_LEAST = 0.03  # side of the smallest square, in longer sides of the photo
_GRASP = 9.0  # how near the pointer must be to a corner or the knob
_STEP, _LARGER, _TURN = 0.01, 1.02, 1.0  # by a key: sides, times, degrees
_CHOSEN, _OTHER, _EDGE = (0.25, 0.9, 0.35), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0)
HELP = (
    "The model sees what lies in the square, best with the face upright in it and the eyes under the dots. Click "
    "another square to choose it; drag the square to move it, a corner to size it, the knob to turn it. Keys: arrows, "
    "+ and −, < and >."
)


class SquareView(Gtk.DrawingArea):
    """``crop``: the square as it is, in pixels of the photo; None where there is none.

    ``changed``: called when the person has chosen, moved, sized or turned it.
    """

    def __init__(self, changed: Callable[[], None]) -> None:
        super().__init__(can_focus=True, halign=Gtk.Align.CENTER)
        self.crop: Crop | None = None
        self._changed = changed
        self._others: Sequence[Crop] = ()
        self._canonical: Align | None = None
        self._dots: Sequence[square.Point] = ()
        self._picture: GdkPixbuf.Pixbuf | None = None
        self._width, self._height = 1, 1
        self._scale, self._left, self._top = 1.0, 0.0, 0.0
        self._drag: Callable[[Crop, square.Point], Crop] | None = None
        self._pressed = (Crop(0, 0, 1), (0.0, 0.0))
        self.set_tooltip_text(HELP)
        self.set_size_request(WIDTH, HEIGHT)
        masks = Gdk.EventMask
        self.add_events(masks.BUTTON_PRESS_MASK | masks.BUTTON_RELEASE_MASK | masks.POINTER_MOTION_MASK)
        for signal, handler in (
            ("draw", self._draw),
            ("button-press-event", self._press),
            ("button-release-event", self._release),
            ("motion-notify-event", self._move),
            ("key-press-event", self._key),
        ):
            self.connect(signal, handler)

    def show_photo(self, picture: Array, width: int, height: int) -> None:
        """``picture``: a small copy, H×W×3 or 4 uint8, of a photo of ``width`` × ``height`` pixels."""
        rows, columns, channels = picture.shape
        pixels = GLib.Bytes.new(picture.data)
        self._picture = GdkPixbuf.Pixbuf.new_from_bytes(
            pixels, GdkPixbuf.Colorspace.RGB, channels == 4, 8, columns, rows, columns * channels
        )
        self._width, self._height = width, height
        self.show_faces(None, (), None)

    def show_faces(self, crop: Crop | None, others: Sequence[Crop], canonical: Align | None) -> None:
        """The square as it shall be, ``others`` to choose from, and where the model's two points lie in it."""
        self.crop, self._others, self._canonical, self._dots = crop, others, canonical, ()
        self._fit()

    def show_points(self, points: Sequence[square.Point]) -> None:
        """Two points that say where the model looks, and no square to be changed."""
        self.crop, self._others, self._canonical, self._dots = None, (), None, points
        self._fit()

    def _fit(self) -> None:
        """All of the photo is seen, and what the square and its knob cover beyond it, if that is not too far."""
        own = [] if self.crop is None else [*square.corners(self.crop), square.knob(self.crop)]
        beyond = _BEYOND * max(self._width, self._height)
        xs = [min(max(x, -beyond), self._width + beyond) for x, _ in own] + [0.0, float(self._width)]
        ys = [min(max(y, -beyond), self._height + beyond) for _, y in own] + [0.0, float(self._height)]
        wide, high = max(xs) - min(xs), max(ys) - min(ys)
        self._scale = min((WIDTH - 2 * _MARGIN) / wide, (HEIGHT - 2 * _MARGIN) / high)
        self._left = (WIDTH - wide * self._scale) / 2 - min(xs) * self._scale
        self._top = (HEIGHT - high * self._scale) / 2 - min(ys) * self._scale
        self.queue_draw()

    # --- drawing ---------------------------------------------------------------------------------------------------

    def _draw(self, _: Gtk.Widget, context: cairo.Context) -> bool:
        if self._picture is None:
            return False
        context.save()
        context.translate(self._left, self._top)
        reduced = self._picture.get_width() / self._width
        context.scale(self._scale / reduced, self._scale / reduced)
        Gdk.cairo_set_source_pixbuf(context, self._picture, 0, 0)
        context.paint()
        context.restore()
        for other in self._others:
            if other != self.crop:
                self._outline(context, square.corners(other), _OTHER, 1.0)
        if self.crop is not None:
            self._draw_chosen(context, self.crop)
        for dot in self._dots:
            self._spot(context, dot, 4.0, _CHOSEN)
        if self.is_focus():
            Gtk.render_focus(
                self.get_style_context(), context, 0, 0, self.get_allocated_width(), self.get_allocated_height()
            )
        return True

    def _draw_chosen(self, context: cairo.Context, crop: Crop) -> None:
        self._outline(context, [square.to_photo(crop, 0.5, 0), square.knob(crop)], _CHOSEN, 2.0)
        self._outline(context, square.corners(crop), _CHOSEN, 2.0)
        for place in (*square.corners(crop), square.knob(crop)):
            self._spot(context, place, 4.0, _OTHER)
        if self._canonical is not None:
            for place in square.points(crop, self._canonical):
                self._spot(context, place, 3.0, _CHOSEN)

    def _outline(
        self, context: cairo.Context, places: Sequence[square.Point], colour: tuple[float, float, float], width: float
    ) -> None:
        """A closed line with a dark edge, to be seen on every ground."""
        for place in places:
            context.line_to(*self._on_screen(place))
        context.close_path()
        context.set_line_width(width + 2)
        context.set_source_rgba(*_EDGE, 0.6)
        context.stroke_preserve()
        context.set_line_width(width)
        context.set_source_rgb(*colour)
        context.stroke()

    def _spot(
        self, context: cairo.Context, place: square.Point, radius: float, colour: tuple[float, float, float]
    ) -> None:
        context.arc(*self._on_screen(place), radius, 0, 2 * math.pi)
        context.set_source_rgb(*colour)
        context.fill_preserve()
        context.set_line_width(1.0)
        context.set_source_rgba(*_EDGE, 0.8)
        context.stroke()

    def _on_screen(self, place: square.Point) -> square.Point:
        return self._left + place[0] * self._scale, self._top + place[1] * self._scale

    # --- pointer and keys ------------------------------------------------------------------------------------------

    def _press(self, _: Gtk.Widget, event: Gdk.EventButton) -> bool:
        self.grab_focus()
        place = self._in_photo(event)
        other = self._other_at(place)
        if self._drag_at(place) is None and other is not None:
            self._set(other)
        if self.crop is not None:
            self._drag, self._pressed = self._drag_at(place), (self.crop, place)
        return True

    def _move(self, _: Gtk.Widget, event: Gdk.EventMotion) -> bool:
        place = self._in_photo(event)
        if self._drag is not None:
            self._set(self._drag(self._pressed[0], place))
        over = self._drag_at(place) is not None or self._other_at(place) is not None
        cursor = Gdk.Cursor.new_from_name(self.get_display(), "pointer" if over else "default")
        self.get_window().set_cursor(cursor)
        return True

    def _release(self, *_: object) -> bool:
        self._drag = None
        return True

    def _key(self, _: Gtk.Widget, event: Gdk.EventKey) -> bool:
        if self.crop is None:
            return False
        name, crop = Gdk.keyval_name(event.keyval) or "", self.crop
        step = _STEP * crop.size
        to = {"Left": (-step, 0), "Right": (step, 0), "Up": (0, -step), "Down": (0, step)}
        by = {"plus": _LARGER, "KP_Add": _LARGER, "minus": 1 / _LARGER, "KP_Subtract": 1 / _LARGER}
        turn = {"less": -_TURN, "greater": _TURN}
        if name in to:
            self._set(square.moved(crop, *to[name]))
        elif name in by:
            self._set(dataclasses.replace(crop, size=max(crop.size * by[name], self._least)))
        elif name in turn:
            self._set(dataclasses.replace(crop, angle=crop.angle + turn[name]))
        else:
            return False
        return True

    def _set(self, crop: Crop) -> None:
        # Its centre stays on the photo, where it can be grasped.
        inside = dataclasses.replace(
            crop, cx=min(max(crop.cx, 0.0), float(self._width)), cy=min(max(crop.cy, 0.0), float(self._height))
        )
        if inside != self.crop:
            self.crop = inside
            self.queue_draw()
            self._changed()

    def _drag_at(self, place: square.Point) -> Callable[[Crop, square.Point], Crop] | None:
        """What becomes of the square when it is dragged from there, given as it was and where the pointer is now."""
        if self.crop is None:
            return None
        if self._near(place, square.knob(self.crop)):
            return square.turned
        if any(self._near(place, corner) for corner in square.corners(self.crop)):
            return lambda crop, to: square.sized(crop, to, self._least)
        if square.holds(self.crop, place) and self._other_at(place) is None:
            return lambda crop, to: square.moved(crop, to[0] - place[0], to[1] - place[1])
        return None

    def _other_at(self, place: square.Point) -> Crop | None:
        """A square to choose there: where squares lie over one another the smallest."""
        here = [crop for crop in self._others if crop != self.crop and square.holds(crop, place)]
        smallest = min(here, key=lambda crop: crop.size, default=None)
        if smallest is not None and self.crop is not None and square.holds(self.crop, place):
            return smallest if smallest.size < self.crop.size / 2 else None
        return smallest

    @property
    def _least(self) -> float:
        return _LEAST * max(self._width, self._height)

    def _near(self, one: square.Point, other: square.Point) -> bool:
        return math.dist(one, other) * self._scale <= _GRASP

    def _in_photo(self, event: Gdk.EventButton | Gdk.EventMotion) -> square.Point:
        return (event.x - self._left) / self._scale, (event.y - self._top) / self._scale
