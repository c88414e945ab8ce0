"""Figures 5, 7 and 8 of the report: interpolation, scribble to image, and the edit of a projected photo."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gan_edit_engine.imaging.arrays import from_message, to_message
from gan_edit_engine.imaging.crop import composite
from gan_edit_engine.inversion.interpolate import combine
from gan_edit_engine.inversion.latents import label, random_z
from gan_edit_engine.inversion.losses import pixel_loss
from gan_edit_engine.inversion.optimize import result_of
from gan_edit_engine.inversion.perceptual import Perceptual, load_lpips
from gan_edit_engine.inversion.subject import Subject
from gan_edit_engine.worker.perform import perform
from gan_edit_protocol.events import FramesReady, ResultReady
from gan_edit_protocol.requests import EditRequest, ImagineRequest
from gan_edit_protocol.settings import EditSettings, ImagineSettings, InterpolateSettings, ProjectSettings
from report.bench import Bench, Trial, say
from report.figure import Cell, Figure, Finding, Pixels, Row, listed, shown
from report.scribbles import Canvas, around_the_eyes, as_subject, faces, green_irises, over
from report.targets import chelsea, place

STRIP = 7
# The report's range is .01 to .1; the engine's distance is a mean, in units of the latents' own spread.
PRIOR = 0.05
NO_PRIOR, WITH_PRIOR, OWN_WAY = "no prior", f"prior {PRIOR:g}", "by GAN Edit"
NEIGHBOUR_SEED = 7
EYE_BOXES = ((slice(70, 166), slice(110, 238)), (slice(89, 185), slice(256, 384)))


def interpolation(bench: Bench, by_optimiser: dict[str, list[Trial]]) -> Figure:
    """The way in the last space between two inverted images, for latents found by each optimiser."""
    lpips = load_lpips(bench.device)
    rows: list[Row] = []
    numbers: dict[str, dict[str, Any]] = {}
    for name, trials in by_optimiser.items():
        ends = _ends(trials)
        strip = _images(bench, combine(_latents(ends), InterpolateSettings(frames=STRIP)))
        steps = [_distance(lpips, a, b) for a, b in itertools.pairwise(strip)]
        numbers[name] = {"lpips_between_frames": steps, "way": sum(steps)}
        rows.append(_strip_row(f"latents found by {name}", ends, strip))
    first = next(iter(by_optimiser))
    settings = InterpolateSettings(frames=bench.budget.frames, loop=True)
    frames = _images(bench, combine(_latents(_ends(by_optimiser[first])), settings))
    return Figure(
        "interpolation",
        "Interpolation between two inverted images",
        f"Straight from one latent in {bench.generator.spaces[-1]} to the other, for first-order and for quasi-Newton "
        "inversions.",
        tuple(rows),
        (_shorter_way({name: found["way"] for name, found in numbers.items()}),),
        numbers,
        animation=(f"There and back, latents found by {first}", np.stack([shown(image) for image in frames])),
    )


def _ends(trials: list[Trial]) -> list[Trial]:
    return [trial for trial in trials if trial.target.shown][:2]


def _latents(ends: list[Trial]) -> Tensor:
    return torch.cat([trial.inversion.ws for trial in ends])


def _strip_row(caption: str, ends: list[Trial], strip: list[Tensor]) -> Row:
    between = [f"{i / (STRIP - 1):.0%}" for i in range(1, STRIP - 1)]
    labels = [ends[0].target.name, *between, ends[1].target.name]
    return Row(caption, tuple(Cell(text, shown(image)) for text, image in zip(labels, strip, strict=True)))


def _shorter_way(ways: dict[str, float]) -> Finding:
    shortest = min(ways, key=lambda name: ways[name])
    return Finding(
        None,
        f"The way through the latents of {shortest} is the shorter one, added up in LPIPS from frame to frame: "
        f"{listed(ways, '.2f')}. The report shows both and names no winner.",
    )


@torch.no_grad()
def _images(bench: Bench, latents: Tensor) -> list[Tensor]:
    return [bench.generator.synthesis(ws[None]).clamp(-1, 1) for ws in latents]


@torch.no_grad()
def _distance(lpips: Perceptual, a: Tensor, b: Tensor) -> float:
    return lpips.loss(a, lpips.target(b, torch.ones_like(b[:, :1]))).item()


def scribbles(bench: Bench) -> Figure:
    """Scribble to image: argmin ‖M∗G(z) − M∗S‖² from the mean latent, without and with the prior; and by GAN Edit."""
    lpips = load_lpips(bench.device)
    neighbours = _random_images(bench)
    rows: list[Row] = []
    numbers: list[dict[str, Any]] = []
    for name, canvas in faces(bench.model).items():
        cells = [Cell("the scribble", _on_grey(canvas))]
        subject = as_subject(canvas, bench.model, bench.device)
        for way in (NO_PRIOR, WITH_PRIOR, OWN_WAY):
            say(f"  {name}, {way}")
            image = _imagined(bench, canvas) if way == OWN_WAY else _from_scribble(bench, subject, way)
            error = 127.5 * pixel_loss(image, subject.image, subject.weight).sqrt().item()
            nearest = min(_distance(lpips, image.clamp(-1, 1), other) for other in neighbours)
            numbers.append({"scribble": name, "way": way, "colour_error": error, "nearest_sample": nearest})
            text = f"colours ±{error:.0f} · LPIPS {nearest:.2f} to a sample"
            cells.append(Cell(way, shown(image), text))
        rows.append(Row(name, tuple(cells)))
    return Figure(
        "scribbles",
        "Scribble to image",
        "No photo. The report's search starts from the mean image and follows the painted colours alone. GAN Edit's "
        "begins with the most fitting of random images, stays among what the model would draw by itself, and then "
        "paints as it paints on a photo.",
        tuple(rows),
        _prior_findings(numbers),
        numbers,
    )


def _from_scribble(bench: Bench, subject: Subject, way: str) -> Tensor:
    settings = ProjectSettings.from_dict(
        {
            **dataclasses.asdict(bench.settings),
            "init_samples": bench.budget.mean_of,  # so many that their mean is the model's
            "pixel_weight": 1.0,
            "perceptual_weight": 0.0,
            "prior_weight": PRIOR if way == WITH_PRIOR else 0.0,
        }
    )
    perceptual = bench.workspace.perceptual(settings, bench.name)
    return result_of(bench.search(subject, settings, perceptual)).image


def _imagined(bench: Bench, canvas: Canvas) -> Tensor:
    """The best of the product's candidates."""
    usual = ImagineSettings()
    settings = dataclasses.replace(
        usual, steps=min(usual.steps, bench.budget.steps), samples=min(usual.samples, bench.budget.neighbours)
    )
    *_, result = perform(ImagineRequest(to_message(canvas), bench.name, settings), bench.workspace)
    assert isinstance(result, FramesReady)
    best = torch.from_numpy(from_message(result.frames)[0].copy()).permute(2, 0, 1)[None]
    return (best.float() / 127.5 - 1).to(bench.device)


@torch.no_grad()
def _random_images(bench: Bench) -> list[Tensor]:
    z = random_z(bench.generator, bench.budget.neighbours, NEIGHBOUR_SEED, bench.device)
    return [bench.generator(one[None], label(bench.generator, 1, 0, bench.device)).clamp(-1, 1) for one in z]


def _on_grey(canvas: Canvas) -> Pixels:
    side = canvas.shape[0]
    grey = np.full((side, side, 3), 225, np.uint8)
    picture = torch.from_numpy(over(grey, canvas)).permute(2, 0, 1)[None].float() / 127.5 - 1
    return shown(picture)


def _prior_findings(numbers: list[dict[str, Any]]) -> tuple[Finding, ...]:
    def mean(figure: str, way: str) -> float:
        return float(np.mean([row[figure] for row in numbers if row["way"] == way]))

    far, near, own = (mean("nearest_sample", way) for way in (NO_PRIOR, WITH_PRIOR, OWN_WAY))
    loose, tight = mean("colour_error", WITH_PRIOR), mean("colour_error", NO_PRIOR)
    helps = near < far
    return (
        Finding(
            helps,
            "The report says that L2 regularisation helps. Here LPIPS to the nearest of the model's random samples is "
            f"{near:.2f} with the prior and {far:.2f} without: it {'keeps' if helps else 'does not keep'} the image "
            "among the model's own.",
        ),
        Finding(None, _price(loose, tight)),
        Finding(
            None,
            f"GAN Edit's own way ends at LPIPS {own:.2f} from the nearest sample, its colours off by "
            f"{mean('colour_error', OWN_WAY):.0f} of 255 under the strokes.",
        ),
    )


def _price(loose: float, tight: float) -> str:
    """What the prior costs: colours are off by ``loose`` 255ths with it, by ``tight`` without."""
    if round(loose) <= round(tight):
        return f"It costs no colour: under the strokes they are off by {loose:.0f} of 255 with it, {tight:.0f} without."
    return f"Its price is the colours: off by {loose:.0f} of 255 under the strokes, and by {tight:.0f} without it."


def edit(bench: Bench) -> Figure:
    """ "Adding green eyes" to a photo at its full resolution, starting from its projection."""
    say("  projecting and editing")
    photo = chelsea()
    height, width = photo.shape[:2]
    canvas, mask = green_irises(height, width), around_the_eyes(height, width)
    budget = bench.budget
    settings = EditSettings(
        steps=budget.steps, edit_steps=budget.edit_steps, space=bench.generator.spaces[-1], cache=False
    )
    request = EditRequest(
        photo=to_message(photo),
        scribble=to_message(canvas),
        mask=to_message(mask),
        model=bench.name,
        settings=settings,
        **place(bench.model),  # type: ignore[arg-type]
    )
    *_, result = perform(request, bench.workspace)
    assert isinstance(result, ResultReady)
    assert result.mask is not None
    edited = composite(
        photo, from_message(result.image), from_message(result.mask).astype(np.uint8), result.x, result.y
    )
    return _edit_figure(np.asarray(photo, np.uint8), canvas, mask, np.asarray(edited, np.uint8), result, bench)


def _edit_figure(
    photo: Pixels, canvas: Canvas, mask: Pixels, edited: Pixels, result: ResultReady, bench: Bench
) -> Figure:
    before, after = _colour_error(photo, canvas), _colour_error(edited, canvas)
    outside = int(np.abs(edited.astype(int) - photo.astype(int))[mask == 0].max())
    assert result.latent_start is not None
    models = [
        shown(bench.generator.synthesis(torch.from_numpy(from_message(latent).copy())[None].to(bench.device)))
        for latent in (result.latent_start, result.latent.ws)
    ]
    whole = (
        Cell("the photo", photo),
        Cell("with the scribble", over(photo, canvas)),
        Cell("the edit", edited, f"{photo.shape[1]} × {photo.shape[0]} pixels"),
    )
    closer = tuple(
        Cell(f"{side} eye {when}", picture[box])
        for side, box in zip(("left", "right"), EYE_BOXES, strict=True)
        for when, picture in (("before", photo), ("after", edited))
    )
    inside = tuple(Cell(text, picture) for text, picture in zip(("the projection", "its edit"), models, strict=True))
    follows = after < before / 2
    findings = (
        Finding(
            follows,
            f"The eyes {'turn' if follows else 'do not quite turn'} green: their mean colour is off the paint "
            f"by {after:.0f} of 255 after the edit, and was by {before:.0f}. The report shows such an "
            "edit of the generator's image; here its change is carried to the photo itself.",
        ),
        Finding(None, f"Outside of the selection no value changes by more than {outside}."),
    )
    numbers = {
        "colour_error_before": before,
        "colour_error_after": after,
        "largest_change_outside": outside,
        "psnr_of_projection": result.psnr,
        "seconds": result.seconds,
        "steps": result.steps,
    }
    return Figure(
        "edit",
        "Edit of a projected photo: green eyes",
        f"{result.steps} steps in {result.seconds:.0f} s, with the engine's own settings and {result.perceptual}.",
        (Row("at full resolution", whole), Row("the eyes", closer), Row("what the model sees", inside)),
        findings,
        numbers,
    )


def _colour_error(picture: Pixels, canvas: Canvas) -> float:
    """Root mean square distance of the mean colour under the paint from the paint's, in 255ths.

    Of the means, because the photo's light and shadow are to stay.
    """
    painted = canvas[..., 3] > 0
    difference = picture[painted].mean(0) - canvas[painted][:, :3].mean(0)
    return float(np.sqrt(np.square(difference).mean()))
