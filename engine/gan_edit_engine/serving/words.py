"""The page's pieces of HTML: how far a job is, a model with its licence, how it is done."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gan_edit_engine.imaging.arrays import from_message
from gan_edit_engine.serving.painting import smaller
from gan_edit_protocol.arrays import Array
from gan_edit_protocol.events import Accepted, Notice, Progress

TITLE = "GAN Edit"
_SUMMARY = "Stroke a colour over a part of a photo, and a generative network works out what you meant."
INTRODUCTION = f"""
# {TITLE}
{_SUMMARY}
"""
STEPS = """
1. **Choose a photo** of what the model knows, or try an example.
2. **Paint** on the layer *Colours* what shall have another colour: one stroke through an iris is enough for all of it.
3. If the rest must stay as it is, go to the layer *Selection* (below the photo, on the right) and paint over
   **what may change**, in any colour.
4. Press **Edit**.

On a **blank canvas** the model draws pictures of its own that follow your colours; choose the one that you like.
"""
WITHOUT_A_PHOTO = (
    "Paint roughly where which colours shall be, and press <b>Draw</b>. Paint nothing at all, and the pictures are "
    "random ones."
)


def begun(key: str) -> str:
    """Where a job's progress is shown: the page's script fetches it, by the job's key."""
    return f'<div data-job="{html.escape(key)}">{progress(None)}</div>'


def progress(event: Accepted | Progress | None, preview: Array | None = None, notices: Sequence[Notice] = ()) -> str:
    """How far a job is, with a ``preview`` where there is one and its ``notices``; None: it is about to begin."""
    if isinstance(event, Accepted) and event.ahead:
        others = "1 other job" if event.ahead == 1 else f"{event.ahead} other jobs"
        return _status(f"Waiting for {others}.", None) + _noted(notices)
    if not isinstance(event, Progress):
        return _status("Starting…", None) + _noted(notices)
    share = min(1.0, event.step / max(event.of, 1))
    picture = "" if preview is None else _image(np.asarray(from_message(preview), np.uint8), "So far")
    return _status(f"{event.stage}: {event.step} of {event.of}", share, picture) + _noted(notices)


def said(text: str, notices: Sequence[Notice] = ()) -> str:
    """A sentence in the place of the progress, above the job's ``notices``."""
    return f'<div class="gan-status" role="status">{html.escape(text)}</div>{_noted(notices)}'


def done(text: str, place: str, notices: Sequence[Notice] = ()) -> str:
    """How a job ended, with the way to its result, which lies below by that id: further than a small screen shows."""
    link = f'<a href="#{place}">See the result</a>'
    return f'<div class="gan-status" role="status"><div>{html.escape(text)} {link}</div></div>{_noted(notices)}'


def strokes(layers: Sequence[bytes]) -> str:
    """What was painted, as PNGs: the page's script puts it on the editor's layers."""
    data = " ".join(base64.b64encode(layer).decode() for layer in layers)
    return f'<div data-strokes="{data}"></div>'


def looking(view: NDArray[np.uint8], told: str) -> str:
    """Where the model looks, on a small picture of the photo."""
    return (
        f'<figure class="gan-look">{_image(view, "Where the model looks", 320)}<figcaption>{told}</figcaption></figure>'
    )


def model(about: dict[str, Any], sample: NDArray[np.uint8] | None) -> str:
    """A model: its picture, what it shows, and its licence."""
    picture = '<div class="gan-sample"></div>' if sample is None else _image(sample, "A picture of this model")
    shows, licence = (html.escape(str(about[name]) or "unknown") for name in ("shows", "licence"))
    origin = html.escape(str(about["provenance"]))
    return (
        f'<div class="gan-model">{picture}<div><b>Knows:</b> {shows}<br><b>Licence:</b> {licence}'
        f"<details><summary>Where it comes from</summary>{origin}</details></div></div>"
    )


def _noted(notices: Sequence[Notice]) -> str:
    return "".join(f'<p class="gan-notice" role="note">{html.escape(str(each))}</p>' for each in notices)


def _status(text: str, share: float | None, picture: str = "") -> str:
    bar = "<progress></progress>" if share is None else f'<progress value="{share:.3f}"></progress>'
    return f'<div class="gan-status" role="status">{picture}<div>{html.escape(text)}{bar}</div></div>'


def _image(pixels: NDArray[np.uint8], alt: str, side: int = 192) -> str:
    """Inside the page, so that it is nobody's file; no side is longer than ``side`` pixels."""
    out = io.BytesIO()
    Image.fromarray(smaller(np.ascontiguousarray(pixels[..., :3]), side)).save(out, "WEBP", quality=85)
    data = base64.b64encode(out.getvalue()).decode()
    return f'<img class="gan-sample" alt="{alt}" src="data:image/webp;base64,{data}">'


# It has its place where the page itself begins, and goes when that has come.
FIRST_SIGHT = f"""
<style>
#first-sight {{ box-sizing: border-box; width: 100%; max-width: 1180px; margin: 0 auto; padding: 16px 32px; }}
#first-sight {{ font: 14px/22.75px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }}
#first-sight h1 {{ margin: 0; font-size: 26px; font-weight: 600; line-height: 33.8px; }}
body:has(#edit) #first-sight {{ display: none; }}
</style>
<div id="first-sight"><h1>{TITLE}</h1><p>{_SUMMARY}</p>
<p role="status">The page is loading…</p>
<noscript>It needs JavaScript, which this browser has switched off.</noscript></div>
"""

# How a job's progress comes into the page, by a way of its own: whenever an event of Gradio's tells something, its
# image editor sends all of its pictures again.
# A page that is loaded again puts what was painted for its last job back on the editor's own layers, which the editor's
# value would make anew without their names; and it asks before it forgets what no job has yet. Of pictures that have
# just been sent, the last part gives back what the server answered. An error stays until the next thing is done.
HEAD = """
<script>
setInterval(async () => {
  const place = document.querySelector("[data-job]");
  if (!place || document.hidden) return;
  const job = place.dataset.job;
  const answer = await fetch("progress/" + job).catch(() => null);
  const text = answer && answer.ok ? await answer.text() : null;
  if (text !== null && place.isConnected && place.dataset.job === job) place.innerHTML = text;
}, 700);
setInterval(async () => {
  const place = document.querySelector("[data-strokes]"), editor = window.editor;
  const photo = editor && editor.background_image;
  if (!place || !photo || !photo.texture || !photo.texture.width) return;
  const layers = place.dataset.strokes.split(" ");
  place.remove();
  const Sprite = photo.constructor, Texture = photo.texture.constructor, manager = editor.layer_manager;
  for (const [number, layer] of manager.get_layers().slice(0, layers.length).entries()) {
    const image = new Image();
    image.src = "data:image/png;base64," + layers[number];
    await image.decode();
    const sprite = new Sprite(Texture.from(image));
    sprite.setSize(editor.width, editor.height);
    editor.app.renderer.render({container: sprite, target: manager.draw_textures.get(layer.container)});
  }
  editor.notify("change");
}, 500);
addEventListener("click", (clicked) => {
  if (clicked.target.closest("gradio-app") && !clicked.target.closest(".toast-wrap"))
    for (const old of document.querySelectorAll(".toast-close")) old.click();
}, true);
let unsent = false;
addEventListener("pointerdown", (pressed) => { unsent ||= Boolean(pressed.target.closest("#editor canvas")); }, true);
addEventListener("click", (clicked) => { if (clicked.target.closest("#edit")) unsent = false; }, true);
addEventListener("beforeunload", (leaving) => { if (unsent) leaving.preventDefault(); });
const sent = new Map(), send = window.fetch;
window.fetch = async (where, how) => {
  const files = how && how.body instanceof FormData ? how.body.getAll("files") : [];
  if (!String(where).includes("/upload") || files.length !== 1 || !window.crypto.subtle) return send(where, how);
  const digest = await crypto.subtle.digest("SHA-256", await files[0].arrayBuffer());
  const key = new Uint8Array(digest).join() + files[0].name;
  const known = sent.get(key);
  const json = {headers: {"content-type": "application/json"}};
  if (known && Date.now() < known.until) return new Response(known.text, json);
  const answer = await send(where, how);
  if (answer.ok) sent.set(key, {text: await answer.clone().text(), until: Date.now() + 600000});
  return answer;
};
</script>
"""

UP = "(...given) => { document.querySelector('#canvas').scrollIntoView({behavior: 'smooth'}); return given; }"

STYLE = """
.gradio-container { max-width: 1180px !important; margin: 0 auto !important; }
.gan-model, .gan-status { display: flex; gap: 12px; align-items: flex-start; overflow-wrap: anywhere; }
.gan-status > div { flex: 1; }
.gan-status progress { display: block; width: 100%; height: 8px; margin-top: 8px; appearance: none; border: 0; }
.gan-status progress, .gan-status progress::-webkit-progress-bar { background: var(--border-color-primary); }
.gan-status progress::-webkit-progress-value { background: var(--primary-500); }
.gan-status progress::-moz-progress-bar { background: var(--primary-500); }
.gan-notice {
  margin: 10px 0 0; padding: 8px 12px; border-left: 4px solid #f0b429; border-radius: 4px; overflow-wrap: anywhere;
  background: color-mix(in srgb, #f0b429 14%, transparent);
}
.gan-sample { width: 96px; height: 96px; flex: none; border-radius: 8px; background: var(--background-fill-secondary); }
#looking { min-height: 40px; }
#looking:not(:has(.prose > *, .wrap:not(.hide))), #status:not(:has(.gan-status:not(:empty))) { display: none; }
input[type=range]::-webkit-slider-thumb { border: 2px solid var(--primary-600) !important; }
input[type=range]::-moz-range-thumb { border: 2px solid var(--primary-600) !important; }
.gan-look { display: flex; flex-wrap: wrap; gap: 12px; align-items: center; margin: 0; }
.gan-look img { width: auto; height: auto; max-width: 240px; max-height: 180px; }
.gan-look figcaption { flex: 1; min-width: 160px; }
.gan-model details { margin-top: 4px; font-size: var(--text-sm); opacity: 0.85; }
#candidates .grid-wrap { min-height: 0; }
#candidates .grid-container { grid-template-columns: repeat(auto-fill, minmax(min(200px, 44%), 1fr)) !important; }
#candidates .selected { outline: 3px solid var(--primary-500); outline-offset: 1px; }
footer { display: none !important; }
@media (max-width: 640px) { #editor { height: 420px !important; } }
"""
