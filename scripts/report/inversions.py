"""Figures 1 to 4 and 6 of the report: what an inversion's loss, space, start and optimiser are worth."""

from __future__ import annotations

from dataclasses import asdict

from gan_edit_engine.inversion.perceptual import Perceptual
from report.bench import REPORT_LAYERS, Bench, Trial, layers_network
from report.chart import line_chart
from report.figure import (
    TIE_DB,
    TIE_LPIPS,
    Figure,
    Finding,
    Table,
    listed,
    mean_of,
    mean_table,
    trial_numbers,
    trial_row,
    trial_rows,
)

LAYERS = {
    "conv1_1–1_2": ("conv1_1", "conv1_2"),
    "conv2_1–3_2": ("conv2_1", "conv2_2", "conv3_1", "conv3_2"),
    "conv1_1–3_1": REPORT_LAYERS,
}
KEPT_LAYERS = "conv1_1–3_1"
# (perceptual, pixel)
WEIGHTS = ((0.0, 1.0), (0.3, 0.7), (0.5, 0.5), (0.7, 0.3), (1.0, 0.0))
KEPT_WEIGHTS = "0.7 / 0.3"
# The report's seconds for 1,000 iterations on its GPU.
REPORT_SECONDS = {"Adam": 34.0, "DCGAN, Adam": 11.0, "L-BFGS": 211.0}
OPTIMISERS = {"Adam": "adam", "L-BFGS": "lbfgs"}


def layers(bench: Bench) -> Figure:
    """Which layers of the VGG the perceptual loss compares."""
    trials: list[Trial] = []
    for name, chosen in LAYERS.items():
        trials += bench.trials(name, layers_network(chosen, bench.device))
    lpips = mean_of(trials, "lpips")
    best = lpips[KEPT_LAYERS] <= min(lpips.values()) + TIE_LPIPS
    kept = Finding(
        best,
        f"{KEPT_LAYERS}, which the report keeps, is {'' if best else 'not '}among the closest by LPIPS: "
        f"{listed(lpips, '.3f')}.",
    )
    deep = [t for t in trials if "conv3_2" in LAYERS[t.setting]]
    fell = all(t.curve[-1].loss < t.curve[0].loss for t in deep)
    losses = f"from {deep[0].curve[0].loss:.3f} to {deep[0].curve[-1].loss:.3f} on {deep[0].target.name}"
    exploded = Finding(
        not fell,
        "The report drops conv3_2 because its weights exploded. "
        + (f"Here the loss with it falls {losses}: " if fell else f"Here the loss with it went {losses}: ")
        + "features are scaled to unit length before they are compared.",
    )
    return Figure(
        "layers",
        "Layers of the perceptual loss",
        "Which convolutions of the VGG are compared; pixels count 0.3 and features 0.7.",
        trial_rows(trials),
        (kept, exploded),
        trial_numbers(trials),
        mean_table(trials, "layers"),
    )


def weights(bench: Bench, perceptual: Perceptual) -> Figure:
    """How much features count, and how much pixels do."""
    trials: list[Trial] = []
    for features, pixels in WEIGHTS:
        name = f"{features:g} / {pixels:g}"
        trials += bench.trials(name, perceptual, perceptual_weight=features, pixel_weight=pixels)
    lpips, psnr = mean_of(trials, "lpips"), mean_of(trials, "psnr")
    best = lpips[KEPT_WEIGHTS] <= min(lpips.values()) + TIE_LPIPS
    kept = Finding(
        best,
        f"{KEPT_WEIGHTS}, which the report keeps, is {'' if best else 'not '}among the closest by LPIPS: "
        f"{listed(lpips, '.3f')}.",
    )
    ahead = max(psnr, key=lambda name: psnr[name])
    pixels_only = Finding(
        None, f"By PSNR, which rewards what the pixel loss minimises, {ahead} is ahead: {listed(psnr, '.1f', ' dB')}."
    )
    return Figure(
        "weights",
        "Weights of the perceptual and the pixel loss",
        "Perceptual weight / pixel weight.",
        trial_rows(trials),
        (kept, pixels_only),
        trial_numbers(trials),
        mean_table(trials, "perceptual / pixel"),
    )


def spaces(bench: Bench, dcgan: Bench | None, perceptual: Perceptual) -> Figure:
    """In which latent space is searched, and from the mean of how many random latents."""
    trials = _space_trials(bench, perceptual)
    rows, numbers = trial_rows(trials), {"model": trial_numbers(trials)}
    psnr = mean_of(trials, "psnr")
    table = mean_table(trials, "space, start")
    findings = [*_space_findings(bench, psnr), _known_answer(trials)]
    if dcgan is not None:
        others = _space_trials(dcgan, perceptual)
        rows += tuple(trial_row(f"{row.caption}, DCGAN", _of(others, row.caption)) for row in trial_rows(others))
        numbers["dcgan"] = trial_numbers(others)
        theirs = mean_of(others, "psnr")
        more = mean_table(others, "").rows
        table = Table(table.header, (*table.rows, *((f"DCGAN {row[0]}", *row[1:]) for row in more)))
        best, other = max(psnr.values()), max(theirs.values())
        findings.append(
            Finding(best > other, f"The DCGAN, with z alone, gets {other:.1f} dB at best, the model {best:.1f} dB.")
        )
    return Figure(
        "spaces",
        "Latent space and start",
        "The space that is searched, starting from the mean of 1 or of 10 random latents; "
        "w+ begins in w for a fifth of the steps.",
        rows,
        tuple(findings),
        numbers,
        table,
    )


def _space_trials(bench: Bench, perceptual: Perceptual) -> list[Trial]:
    trials: list[Trial] = []
    for space in bench.generator.spaces:
        for count in (1, 10):
            trials += bench.trials(f"{space}, mean of {count}", perceptual, space=space, init_samples=count)
    return trials


def _of(trials: list[Trial], target: str) -> list[Trial]:
    return [trial for trial in trials if trial.target.name == target]


def _space_findings(bench: Bench, psnr: dict[str, float]) -> list[Finding]:
    known = bench.generator.spaces
    from_ten = {space: psnr[f"{space}, mean of 10"] for space in known}
    findings = []
    if len(known) > 1:
        best = max(from_ten, key=lambda space: from_ten[space])
        findings.append(
            Finding(best == "w+", f"{best} is closest; in the report it is w+. Here: {listed(from_ten, '.1f', ' dB')}.")
        )
    gain = from_ten[known[-1]] - psnr[f"{known[-1]}, mean of 1"]
    if abs(gain) < TIE_DB:
        text = f"In {known[-1]} the start makes no difference ({gain:+.2f} dB); the report prefers the mean of 10."
        return [*findings, Finding(False, text)]
    word = "closer" if gain > 0 else "farther"
    text = f"In {known[-1]} the mean of 10 ends {word} than a single latent ({gain:+.2f} dB); the report prefers it."
    return [*findings, Finding(gain > 0, text)]


def _known_answer(trials: list[Trial]) -> Finding:
    own = [t for t in trials if not t.target.photo]
    reached = {t.setting: t.score.psnr for t in own}
    text = f"For the generator's own sample, whose latent exists in every space: {listed(reached, '.1f', ' dB')}."
    return Finding(None, text)


def optimisers(bench: Bench, dcgan: Bench | None, perceptual: Perceptual) -> tuple[Figure, dict[str, list[Trial]]]:
    """Adam against L-BFGS, with as many evaluations of the loss; also all trials of the model by optimiser."""
    found = {name: bench.trials(name, perceptual, optimizer=kind) for name, kind in OPTIMISERS.items()}
    trials = [trial for one in found.values() for trial in one]
    everything = list(trials)
    rows = trial_rows(trials)
    if dcgan is not None:
        theirs = dcgan.trials("DCGAN, Adam", perceptual)
        everything += theirs
        rows += tuple(trial_row(f"{row.caption}, DCGAN", _of(theirs, row.caption)) for row in trial_rows(theirs))
    photo = next(t.target.name for t in trials if t.target.photo and t.target.shown)
    curves = {t.setting: t.curve for t in everything if t.target.name == photo}
    by_time = {name: [(m.seconds, m.psnr) for m in curve] for name, curve in curves.items()}
    by_count = {name: [(float(m.evaluations), m.loss) for m in curve] for name, curve in curves.items()}
    time_unit = "seconds of processor time" if bench.device.type == "cpu" else "seconds"
    figure = Figure(
        "optimisers",
        "Adam against L-BFGS, and the times",
        "The same loss and as many evaluations of it; L-BFGS's line search needs several for each of its steps.",
        rows,
        tuple(_time_findings(everything)),
        {"trials": trial_numbers(everything), "curves": {n: [asdict(m) for m in c] for n, c in curves.items()}},
        _time_table(everything),
        (
            line_chart(f"PSNR on {photo}", time_unit, "dB", by_time),
            line_chart(f"Loss on {photo}", "evaluations", "loss", by_count, log=True),
        ),
    )
    return figure, found


def _per_thousand(trials: list[Trial]) -> dict[str, float]:
    """Seconds that 1,000 evaluations would take, by setting."""
    seconds, steps = mean_of(trials, "seconds"), mean_of(trials, "steps")
    return {name: 1000 * seconds[name] / max(1.0, steps[name]) for name in seconds}


def _time_findings(trials: list[Trial]) -> list[Finding]:
    pace, psnr = _per_thousand(trials), mean_of(trials, "psnr")
    ratio = pace["L-BFGS"] / pace["Adam"]
    theirs = REPORT_SECONDS["L-BFGS"] / REPORT_SECONDS["Adam"]
    ahead = psnr["L-BFGS"] - psnr["Adam"]
    findings = [
        Finding(
            ratio > theirs / 2,
            f"The report's quasi-Newton took {theirs:.1f} times as long as its Adam for as many iterations. Counted in "
            f"evaluations of the loss, which is what takes the time, L-BFGS takes {ratio:.1f} times as long here.",
        ),
        Finding(
            None,
            f"After as many evaluations L-BFGS is {abs(ahead):.1f} dB {'closer' if ahead > 0 else 'behind'}: "
            f"{psnr['L-BFGS']:.1f} against {psnr['Adam']:.1f} dB.",
        ),
    ]
    if "DCGAN, Adam" in pace:
        share, report = pace["DCGAN, Adam"] / pace["Adam"], REPORT_SECONDS["DCGAN, Adam"] / REPORT_SECONDS["Adam"]
        text = f"The DCGAN takes {share:.2f} of the model's time here, and took {report:.2f} of it in the report."
        findings.append(Finding(share < 1, text))
    return findings


def _time_table(trials: list[Trial]) -> Table:
    pace, steps, seconds = _per_thousand(trials), mean_of(trials, "steps"), mean_of(trials, "seconds")
    psnr, lpips = mean_of(trials, "psnr"), mean_of(trials, "lpips")
    rows = [
        (
            name,
            f"{REPORT_SECONDS[name]:.0f} s",
            f"{pace[name]:.0f} s",
            f"{steps[name]:.0f} in {seconds[name]:.1f} s",
            f"{psnr[name]:.2f}",
            f"{lpips[name]:.3f}",
        )
        for name in pace
    ]
    header = ("", "report, 1,000 on its GPU", "here, 1,000 would take", "here, evaluations", "PSNR, dB", "LPIPS")
    return Table(header, tuple(rows))


def style(bench: Bench, perceptual: Perceptual) -> Figure:
    """The style loss: Gram matrices of the features, with and without the terms that know places."""
    trials = bench.trials("without style", perceptual)
    trials += bench.trials("with style 0.1", perceptual, style_weight=0.1)
    trials += bench.trials("style alone", perceptual, style_weight=1.0, pixel_weight=0.0, perceptual_weight=0.0)
    psnr, lpips = mean_of(trials, "psnr"), mean_of(trials, "lpips")
    lost = psnr["without style"] - psnr["style alone"]
    alone = Finding(
        None,
        f"Gram matrices know colours and textures but no places: alone they end {lost:.1f} dB behind the full loss "
        f"({psnr['style alone']:.1f} against {psnr['without style']:.1f} dB).",
    )
    change = lpips["with style 0.1"] - lpips["without style"]
    effect = "no difference" if abs(change) < TIE_LPIPS else "a loss" if change > 0 else "a gain"
    added = Finding(
        None,
        f"Added to the full loss they are {effect} in LPIPS ({lpips['with style 0.1']:.3f} against "
        f"{lpips['without style']:.3f}). The report matches them too, and gives no figures.",
    )
    return Figure(
        "style",
        "Style loss",
        "Gram matrices of the same layers' features, matched between the image and the target.",
        trial_rows(trials),
        (alone, added),
        trial_numbers(trials),
        mean_table(trials, "loss"),
    )
