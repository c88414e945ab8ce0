"""The page for people without GIMP: a photo, colours, and what the model makes of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from gan_edit_engine.library.models_folder import DEFAULT_NAMES, model_names
from gan_edit_engine.serving import words
from gan_edit_engine.serving.desk import Desk
from gan_edit_engine.serving.limits import Limits
from gan_edit_engine.serving.painting import photo_editor
from gan_edit_engine.serving.pieces import Canvas, Pieces
from gan_edit_engine.serving.programs import about_model
from gan_edit_engine.serving.samples import Samples
from gan_edit_engine.serving.visits import EDIT, MOST_IMAGES, Visits
from gan_edit_protocol.client import Client
from gan_edit_protocol.settings import EditSettings, ImagineSettings

_FONTS = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"]
# Text has a contrast of 4.5 or more to what is behind it, and what is pressed one of 3 (WCAG 2.2, 1.4.3 and 1.4.11).
_THEME = gr.themes.Soft(primary_hue="blue", font=_FONTS, font_mono=["ui-monospace", "monospace"]).set(
    body_text_color_subdued="*neutral_600",
    block_title_text_color="*primary_700",
    block_label_text_color="*primary_700",
    button_primary_background_fill="*primary_600",
    button_primary_background_fill_hover="*primary_700",
    button_primary_background_fill_hover_dark="*primary_700",
    checkbox_label_background_fill_selected="*primary_600",
    checkbox_border_color="*neutral_500",
    checkbox_border_color_dark="*neutral_400",
    input_border_width="1px",
    input_border_color="*neutral_400",
)
LOOK: dict[str, Any] = {
    "theme": _THEME,
    "css": words.STYLE,
    "head": words.HEAD,
}
_PICTURES = [".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff"]


def build(desk: Desk, connect: Callable[[], Client], limits: Limits) -> None:
    """Put the page's pieces into the ``gr.Blocks`` around."""
    names = [DEFAULT_NAMES[1], *model_names()[1:]]
    gr.Markdown(words.INTRODUCTION)
    photo = gr.State(None)
    with gr.Row():
        with gr.Column(scale=3, min_width=300):
            # Gradio's editor measures its place once, when it is first shown: then everything else has its own.
            with gr.Column(visible=False, elem_id="canvas") as around:
                editor = photo_editor(label="Photo", height=560, elem_id="editor", buttons=["fullscreen"])
                strokes = gr.HTML("", visible="hidden")
            with gr.Row():
                upload = gr.UploadButton("Choose a photo", file_types=_PICTURES, variant="primary", min_width=120)
                example = gr.Button("Try an example", min_width=120)
                blank = gr.Button("Blank canvas", min_width=120)
            looking = gr.HTML("", elem_id="looking")
            steps = gr.Markdown(words.STEPS)
        with gr.Column(scale=2, min_width=300):
            model = gr.Dropdown(names, value=names[0], label="Model", filterable=False)
            about = gr.HTML(words.model(about_model(names[0]), None))
            with gr.Column() as for_photos:
                reach = _slider("reach", "How far a stroke reaches", "0: what it lies on, 1: all of its kind", 1.0)
                strength = _slider("strength", "Strength", "How much of the edit is applied", 2.0)
                several = gr.Checkbox(False, label="A weaker and a stronger one to choose from, too")
                qualities = ["draft", "normal", "best"]
                quality = gr.Radio(qualities, value="normal", label="Quality", info="Best takes longest")
            with gr.Column(visible=False) as for_blanks:
                count = gr.Slider(1, MOST_IMAGES, ImagineSettings().candidates, step=1, label="Images to choose from")
            with gr.Row():
                edit = gr.Button(EDIT, variant="primary", min_width=120, elem_id="edit")
                cancel = gr.Button("Cancel", variant="stop", min_width=120, interactive=False)
            status = gr.HTML(words.said(""), elem_id="status")
    result = gr.ImageSlider(
        label="Before and after", visible=False, interactive=False, elem_id="result", max_height=640, slider_position=25
    )
    candidates = gr.Gallery(
        label="Choose one", show_label=False, visible=False, interactive=False, elem_id="candidates", columns=4,
        height="auto", object_fit="contain", buttons=[], allow_preview=False,
    )  # fmt: skip
    with gr.Row():
        download = gr.DownloadButton("Download as PNG, with its latent", visible=False, elem_id="download")
        onward = gr.Button("Paint on this one", visible=False, elem_id="onward")
    running = gr.BrowserState("", storage_key="gan-edit-job")
    canvas = Canvas(around, editor, strokes, photo, for_photos, for_blanks, edit)
    pieces = Pieces(running, gr.State(0), looking, steps, status, edit, cancel, result, candidates, download, onward)
    page = Visits(desk, limits, Samples(connect), canvas, pieces)
    hidden: Any = {"api_visibility": "private"}
    job: Any = {"show_progress": "hidden", "concurrency_limit": None, **hidden}
    looked: Any = {"fn": page.looked, "inputs": [photo, model], "outputs": [looking], **job}
    prepares: Any = {"outputs": canvas.all, "show_progress_on": looking, **hidden}
    upload.upload(page.opened, [upload], **prepares).success(**looked)
    example.click(page.example, [model], **prepares).success(**looked)
    blank.click(page.blank, None, **prepares).success(**looked)
    taken = onward.click(page.onward, [running, pieces.chosen], js=words.UP, **prepares)
    taken.success(**looked)
    model.change(page.about, [model], [about], **job)
    model.change(**looked)
    asked = [editor, photo, model, reach, strength, several, quality, count]
    edit.click(page.asked, asked, pieces.all, **job)
    cancel.click(page.cancelled, [running], None, **job)
    candidates.select(page.chosen, [running], [pieces.chosen, result, download], **job)
    loaded = gr.context.Context.root_block
    assert loaded is not None
    loaded.load(page.about, [model], [about], **job)
    found_again = loaded.load(page.painted_before, [running], canvas.all, **job)
    found_again.then(page.taken_up, [running], pieces.all, **job)


def _slider(name: str, label: str, info: str, most: float) -> gr.Slider:
    return gr.Slider(0.0, most, getattr(EditSettings(), name), step=0.05, label=label, info=info)
