"""The part of a dialog that shows where the model looks in the photo, and says how that came about."""

from __future__ import annotations

import gi

import arguments
import faces
import layers
import parasites
import pixels
import square
from asking import Asking
from engines import Engines
from square_view import WIDTH, SquareView

gi.require_version("Gtk", "3.0")

from gi.repository import Gimp, GLib, Gtk  # noqa: E402  (after require_version)

from gan_edit_protocol.errors import GanEditError  # noqa: E402
from gan_edit_protocol.events import EngineStatus, FacesFound  # noqa: E402
from gan_edit_protocol.geometry import Box, Crop  # noqa: E402

SETTLED_MILLISECONDS = 400
"""So long after the last change of the model's name, which may be typed, it is looked again."""
TEXT_CHARACTERS = 44


class Looking(Gtk.Box):
    """The photo with the square on it, and a sentence.

    ``photos``: the photo's layer with each scribble that is offered. A path “align” comes first, then what a person did
    with the square, then the layer to start from, then what is found.

    ``waits``: until it hears that the engine answers.
    """

    def __init__(
        self,
        config: Gimp.ProcedureConfig,
        engines: Engines,
        photos: dict[Gimp.Layer | None, Gimp.Layer],
        waits: bool,
    ) -> None:
        super().__init__(orientation=Gtk.Orientation.VERTICAL, spacing=6)
        self._config, self._engines, self._photos = config, engines, photos
        self._photo: Gimp.Layer | None = None
        self._questions: dict[tuple[int, int, str], faces.Question] = {}
        self._search: Asking[FacesFound] | None = None
        self._engine_answers = not waits
        self._timer = 0
        self._placed = False  # by the person
        self._view = SquareView(self._note_placed)
        self._label = Gtk.Label(xalign=0.5, justify=Gtk.Justification.CENTER, max_width_chars=TEXT_CHARACTERS)
        self._label.set_line_wrap(True)
        self.pack_start(self._view, False, False, 0)
        self.pack_start(self._label, False, False, 0)
        for name, handler in (
            ("scribble", self._look_elsewhere),
            (arguments.START_LAYER, self._look),
            ("model", self._look_soon),
        ):
            if config.find_property(name):
                config.connect(f"notify::{name}", handler)
        self.connect("destroy", lambda _: self._stop())
        self._look()
        self.show_all()

    @property
    def crop(self) -> Crop | None:
        """The square as it is shown; None where a path says it, or nothing has been found yet."""
        return self._view.crop

    def wait_for_engine(self) -> None:
        """Nothing is looked for until the chosen engine is known to answer."""
        self._engine_answers = False
        self._look_elsewhere()

    def follow_engine(self, engine: str, status: EngineStatus) -> None:
        """Look with this one, unless the person has placed the square."""
        self._engine_answers = True
        self._look_elsewhere()

    def _note_placed(self) -> None:
        self._stop()  # what is found later counts less
        self._placed = True
        assert self.crop is not None
        box = self._marked()
        if box is None or square.touches(self.crop, box):
            self._say("The model looks at the square that you placed.")
        else:
            self._say("What is selected or painted lies outside of this square.")

    def _look_elsewhere(self, *_: object) -> None:
        if not self._placed or self._photos.get(self._scribble()) != self._photo:
            self._look()

    def _look_soon(self, *_: object) -> None:
        self._stop()
        self._timer = GLib.timeout_add(SETTLED_MILLISECONDS, self._settled)

    def _settled(self) -> bool:
        self._timer = 0
        self._look()
        return bool(GLib.SOURCE_REMOVE)

    def _look(self, *_: object) -> None:
        self._stop()
        self._placed = False
        scribble = self._scribble()
        photo = self._photos.get(scribble)
        self.set_visible(photo is not None)
        if photo is None:
            return
        if photo != self._photo:
            self._photo = photo
            self._show_photo(photo)
        try:
            align = layers.find_align(photo.get_image(), photo)
        except GanEditError as error:
            self._say(str(error))
            return
        start = self._config.get_property(arguments.START_LAYER)
        kept = parasites.read_crop(start, photo) if start is not None else None
        if align is not None:
            self._view.show_points([(align.x1, align.y1), (align.x2, align.y2)])
            self._say("The path “align” says where the model looks.")
        elif kept is not None:
            self._view.show_faces(kept, (), None)
            self._say("The model looks where it looked for the layer to start from.")
        elif not self._engine_answers:
            self._say("A face is looked for when the engine answers.")
        else:
            self._say("Looking for a face …")
            engine = self._config.get_property("engine")
            question = self._question(photo, scribble, engine)
            self._search = Asking(
                self._engines, engine, lambda client, given_up: question.ask(client, cancelled=given_up), self._answered
            )

    def _scribble(self) -> Gimp.Layer | None:
        return self._config.get_property("scribble") if self._config.find_property("scribble") else None

    def _question(self, photo: Gimp.Layer, scribble: Gimp.Layer | None, engine: str) -> faces.Question:
        key = photo.get_id(), scribble.get_id() if scribble is not None else 0, engine
        model = self._config.get_property("model")
        if key not in self._questions:
            self._questions[key] = faces.Question.about(photo, scribble, model, engine)
        return self._questions[key].for_model(model)

    def _show_photo(self, photo: Gimp.Layer) -> None:
        width, height = photo.get_width(), photo.get_height()
        scale = min(1.0, 2 * WIDTH / max(width, height))  # sharp on screens of twice the pixels, too
        self._view.show_photo(pixels.read_reduced(photo, scale), width, height)

    def _answered(self, answer: FacesFound | GanEditError) -> None:
        self._search = None
        if isinstance(answer, GanEditError):
            self._say(str(answer))
            return
        squares = [face.crop for face in answer.faces]
        chosen = self._around_the_selection() if answer.face is None else answer.face.crop
        self._view.show_faces(chosen, squares, answer.canonical)
        told = answer.told(self._has_selection()) or "The model looks at the square around the selection."
        if answer.kind and answer.face is None:
            told += " Drag it onto the face."
        elif len(squares) > 1:
            told = f"Several of the kind “{answer.kind}” were found: click the one that is meant."
        self._say(told)

    def _has_selection(self) -> bool:
        return self._photo is not None and not Gimp.Selection.is_empty(self._photo.get_image())

    def _around_the_selection(self) -> Crop | None:
        """As the engine chooses it where nothing is found; without a selection around all of the photo."""
        assert self._photo is not None
        box: Box | None = Box(0, 0, self._photo.get_width(), self._photo.get_height())
        if self._has_selection():
            box = self._marked()
        return None if box is None else Crop(box.x + box.width / 2, box.y + box.height / 2, max(box.width, box.height))

    def _marked(self) -> Box | None:
        """Around what is selected of the photo, else around what is painted on it; None without either."""
        photo, scribble = self._photo, self._scribble()
        if photo is not None and self._has_selection():
            return pixels.selected_box(photo.get_image(), photo)
        return None if photo is None or scribble is None else pixels.painted_box(scribble, photo)

    def _say(self, text: str) -> None:
        self._label.set_text(text)

    def _stop(self) -> None:
        if self._search is not None:
            self._search.give_up()
            self._search = None
        if self._timer:
            GLib.source_remove(self._timer)
            self._timer = 0
