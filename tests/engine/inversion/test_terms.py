"""The terms of the losses: each does what its docstring says, and a search without it goes elsewhere."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from gan_edit_engine.inversion.edit import Edited, Wish, follow_scribble
from gan_edit_engine.inversion.invert import invert
from gan_edit_engine.inversion.latents import Statistics, random_z, statistics
from gan_edit_engine.inversion.losses import latent_distance, noise_regularity, pixel_loss
from gan_edit_engine.inversion.optimize import result_of
from gan_edit_engine.inversion.perceptual import Perceptual
from gan_edit_engine.inversion.prepared import Prepared, Projector
from gan_edit_engine.inversion.subject import Inversion, Subject
from gan_edit_engine.inversion.terms import FollowPaint, KeepInside, KeepOutside, Look, StayNear, StayTypical, total
from gan_edit_protocol.settings import EditSettings, ProjectSettings

CPU = torch.device("cpu")
SIDE = 64


def flat(value: float, side: int = SIDE) -> Tensor:
    return torch.full((1, 3, side, side), float(value))


def look(image: Tensor | None = None, ws: Tensor | None = None, move: Tensor | None = None) -> Look:
    nothing = torch.zeros(1, 4, 8)
    return Look(
        flat(0) if image is None else image, nothing if ws is None else ws, nothing[:, 0] if move is None else move
    )


def square(start: int, stop: int, side: int = SIDE) -> Tensor:
    """1 in a square on the diagonal, else 0."""
    weight = torch.zeros(1, 1, side, side)
    weight[..., start:stop, start:stop] = 1
    return weight


def checkered(by: float) -> Tensor:
    """±``by`` from pixel to pixel: of mean 0."""
    ys, xs = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    return (by * (1 - 2 * ((xs + ys) % 2))).float().expand(1, 3, -1, -1)


def test_paint_is_followed_by_its_colour_not_by_its_flatness():
    term = FollowPaint(1, flat(0.2), square(16, 48))
    textured, wrong = term(look(flat(0.2) + checkered(0.3))), term(look(flat(0.5)))
    assert 0.015 < textured < 0.2 * wrong, "but a little, so that a stroke's ends count too"
    assert term(look(flat(0.2))) == pytest.approx(0, abs=1e-10)


def test_paint_is_compared_place_by_place():
    """Half of the stroke too dark and half too light is no right colour."""
    halves = flat(0.5)
    halves[..., SIDE // 2 :] = -0.1
    term = FollowPaint(1, flat(0.2), square(0, SIDE))
    assert term(look(halves)) > 0.7 * term(look(flat(0.5)))


def test_paint_says_nothing_where_it_is_not():
    painted = square(16, 48)
    elsewhere = flat(0.2) * painted + flat(-0.9) * (1 - painted)
    assert FollowPaint(1, flat(0.2), painted)(look(elsewhere)) == pytest.approx(0, abs=1e-10)


def test_what_is_not_selected_is_held_and_nothing_else_is():
    outside = 1 - square(16, 48)
    term = KeepOutside(1, flat(0), outside)
    assert term(look(0.5 * square(16, 48).expand(1, 3, -1, -1))) == 0
    assert term(look(flat(0.5))) == pytest.approx(0.5)


def test_a_tint_over_everything_costs_more_than_one_thing_that_changes_whole():
    term = KeepInside(1, flat(0), square(0, SIDE), square(0, SIDE))
    tint, thing = flat(0.05), 0.8 * square(0, SIDE // 4).expand(1, 3, -1, -1)
    assert tint.sum() == pytest.approx(thing.sum().item(), rel=1e-3)
    assert term(look(thing)) < 0.7 * term(look(tint))
    assert term(look()) == 0


def test_the_little_that_no_stroke_speaks_for_has_little_to_say():
    selected, held = square(0, SIDE), square(0, SIDE // 2)
    all_of_it, quarter = (KeepInside(1, flat(0), weight, selected)(look(flat(0.3))) for weight in (selected, held))
    assert quarter == pytest.approx(all_of_it.item() / 4)
    small = square(0, SIDE // 2)
    assert KeepInside(1, flat(0), held, small)(look(flat(0.3))) == pytest.approx(all_of_it.item())


def test_the_way_along_w_is_measured_in_the_models_own_spread():
    assert StayTypical(1)(look()) == 0
    assert StayTypical(1)(look(image=flat(9), ws=torch.full((1, 4, 8), 9.0), move=torch.full((1, 8), 2.0))) == 4


def test_layers_stay_near_the_common_move_in_units_of_the_spread():
    centre = torch.full((1, 4, 8), 0.5)
    assert StayNear(1, centre, 2.0)(look(ws=centre, move=torch.ones(1, 8))) == 0
    assert StayNear(1, centre, 2.0)(look(ws=centre + 2)) == 1


def test_the_loss_is_the_weighted_sum_of_its_terms():
    terms = [StayTypical(3.0), StayNear(0.5, torch.zeros(1, 4, 8), 1.0)]
    assert total(terms, look(ws=torch.full((1, 4, 8), 2.0), move=torch.ones(1, 8))) == 3 + 0.5 * 4


PAINTED, SELECTED = square(2, 6, 16), square(0, 10, 16)
BLUE = torch.tensor([-0.6, -0.2, 0.8])[None, :, None, None].expand(1, 3, 16, 16)
WISH = Wish(BLUE, PAINTED, PAINTED, SELECTED, PAINTED)

Harm = Callable[[Edited, Inversion], float]

HARM: dict[str, Harm] = {
    "FollowPaint": lambda edited, _: pixel_loss(edited.image, BLUE, PAINTED).item(),
    "KeepOutside": lambda edited, was: pixel_loss(edited.image, was.image, 1 - SELECTED, "l1").item(),
    "KeepInside": lambda edited, was: pixel_loss(edited.image, was.image, SELECTED - PAINTED).item(),
    "StayTypical": lambda edited, was: latent_distance(edited.ws.mean(1), was.ws.mean(1), 1).item(),
    "StayNear": lambda edited, was: (edited.ws - was.ws).std(dim=1).square().mean().item(),
}
"""What each term is there against."""


Run = Callable[..., Edited]


@pytest.fixture(scope="module")
def projected(tiny_generator) -> Inversion:
    ws = tiny_generator.mapping(random_z(tiny_generator, 1, seed=5, device=CPU))
    return Inversion(ws, tiny_generator.synthesis(ws), 99.0)


@pytest.fixture
def run_edit(tiny_generator, projected) -> Run:
    spread = statistics(tiny_generator, CPU)

    def run(wish: Wish = WISH, **settings) -> Edited:
        return result_of(follow_scribble(Prepared(tiny_generator, spread, EditSettings(**settings)), projected, wish))

    return run


@pytest.mark.parametrize("term", HARM)
def test_without_a_term_an_edit_does_what_the_term_is_against(run_edit, projected, monkeypatch, term):
    if term == "StayNear":
        monkeypatch.setattr("gan_edit_engine.inversion.edit._MEANING_SHARE", 0.25)  # layers part in the rest
    settings = {"edit_steps": 40, "reach": 0.0, "edit_prior_weight": 10.0 if term == "StayNear" else 0.5}
    held = HARM[term](run_edit(**settings), projected)
    monkeypatch.setattr(f"gan_edit_engine.inversion.terms.{term}.__call__", lambda _self, look: 0 * look.image.sum())
    assert HARM[term](run_edit(**settings), projected) > 1.15 * held


@pytest.mark.parametrize(
    ("weight", "value", "terms"),
    [
        ("scribble_weight", 10.0, ["FollowPaint"]),
        ("keep_weight", 1.0, ["KeepInside"]),
        ("outside_weight", 4.0, ["KeepOutside"]),
        ("edit_prior_weight", 10.0, ["StayTypical", "StayNear"]),
    ],
)
def test_a_weight_of_zero_takes_its_terms_out(run_edit, monkeypatch, weight, value, terms):
    settings = {"edit_steps": 8, "reach": 0.0, weight: value}
    held, free = run_edit(**settings).ws, run_edit(**{**settings, weight: 0.0}).ws
    assert (held - free).abs().max() > 1e-3
    for term in terms:
        monkeypatch.setattr(
            f"gan_edit_engine.inversion.terms.{term}.__call__", lambda _self, look: 0 * look.image.sum()
        )
    assert torch.allclose(run_edit(**settings).ws, free, atol=1e-3)


def test_what_strokes_speak_for_is_not_held(run_edit):
    free = Wish(BLUE, PAINTED, PAINTED, SELECTED, SELECTED)
    settings = {"edit_steps": 8, "reach": 0.0}
    assert torch.allclose(run_edit(free, **settings).ws, run_edit(**settings, keep_weight=0.0).ws, atol=1e-3)


def weights_of(term: type, monkeypatch) -> list[float]:
    """The weights of each ``term`` that is asked from now on; what it says is nothing."""
    seen: list[float] = []
    monkeypatch.setattr(term, "__call__", lambda self, look: (seen.append(self.weight), 0 * look.image.sum())[1])
    return seen


@pytest.mark.parametrize("reach", [0.0, 0.5, 1.0])
def test_the_further_strokes_reach_the_less_is_held_inside(run_edit, reach, monkeypatch):
    weights = weights_of(KeepInside, monkeypatch)
    run_edit(edit_steps=1, keep_weight=1.5, reach=reach)
    assert weights == [3.0 * (1 - reach)]


def test_more_paint_on_the_selection_has_more_say_and_little_paint_still_some(run_edit, monkeypatch):
    weights = weights_of(FollowPaint, monkeypatch)
    everywhere = square(0, 16, 16)
    for painted in (square(0, 1, 16), square(0, 3, 16), everywhere):
        run_edit(Wish(BLUE, painted, painted, everywhere, painted), edit_steps=1, scribble_weight=10.0)
    assert weights == [5, pytest.approx(10 * 9 / 256 / 0.03), 40]


STRANGE = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(3)) * 2 - 1
"""No image of the generator: what a latent pays for coming near it shows."""
LEFT = torch.zeros(1, 1, 16, 16)
LEFT[..., :8] = 1


def pixels(found: Inversion, _: Statistics, __: Perceptual) -> float:
    return pixel_loss(found.image, STRANGE, LEFT).item()


def likeness(found: Inversion, _: Statistics, perceptual: Perceptual) -> float:
    return perceptual.loss(found.image, perceptual.target(STRANGE, LEFT)).item()


def style(found: Inversion, _: Statistics, perceptual: Perceptual) -> float:
    return perceptual.compare(found.image, perceptual.target(STRANGE, LEFT, style=True))[1].item()


NEITHER = {"pixel_weight": 0.3, "perceptual_weight": 0.0, "steps": 40}
ONLY_LIKE = {"pixel_weight": 0.0, "perceptual_weight": 1.0, "prior_weight": 0.0, "steps": 40}
PROJECTION: dict[str, tuple[dict[str, object], Callable[[Inversion, Statistics, Perceptual], float]]] = {
    "ReproducePixels": ({**NEITHER, "prior_weight": 0.0}, pixels),
    "LookAlike": (ONLY_LIKE, likeness),
    "LookAlikeInStyle": ({**ONLY_LIKE, "perceptual_weight": 0.0, "style_weight": 1.0}, style),
    "BeNormal": ({**NEITHER, "space": "z", "prior_weight": 1.0}, lambda found, *_: found.z.square().mean().item()),
    "StayNearMean": (
        {**NEITHER, "prior": "l2", "prior_weight": 1.0},
        lambda found, known, _: known.distance(found.ws).item(),
    ),
    "StayLikely": (
        {**NEITHER, "prior": "gaussian", "prior_weight": 1.0},
        lambda found, known, _: known.gaussian_distance(found.ws).item(),
    ),
    "BeNoise": (
        {**NEITHER, "optimize_noise": True, "noise_weight": 100.0},
        lambda found, *_: noise_regularity(found.noise.values()).item(),
    ),
}
"""The settings with which each term has a say, and what it is there against."""


@pytest.mark.parametrize("term", PROJECTION)
def test_without_a_term_a_projection_does_what_the_term_is_against(tiny_generator, perceptual, monkeypatch, term):
    settings, harm = PROJECTION[term]
    known = statistics(tiny_generator, CPU)
    projector = Projector(tiny_generator, known, ProjectSettings(**settings), perceptual)

    def harmed() -> float:
        return harm(result_of(invert(projector, Subject(STRANGE, LEFT))), known, perceptual)

    held = harmed()
    monkeypatch.setattr(f"gan_edit_engine.inversion.terms.{term}.__call__", lambda _self, look: 0 * look.image.sum())
    assert harmed() > 1.15 * held
