"""The Fréchet distance between two sets of features (Heusel et al. 2017; theirs are Inception's, ours are named)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Moments:
    """Mean [D] and covariance [D, D] of features, in float64."""

    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]


def moments(features: NDArray[np.float32]) -> Moments:
    """Moments of features [N, D]; N should be several times D."""
    exact = features.astype(np.float64)
    return Moments(exact.mean(axis=0), np.cov(exact, rowvar=False))


def frechet_distance(a: Moments, b: Moments) -> float:
    """|mean_a - mean_b|^2 + trace(A + B - 2 (A B)^(1/2)), never below 0 but for rounding."""
    # (A B)^(1/2) has the trace of (A^(1/2) B A^(1/2))^(1/2), which is symmetric: no complex square root is needed.
    root = _symmetric_root(a.covariance)
    cross = np.linalg.eigvalsh(root @ b.covariance @ root)
    difference = a.mean - b.mean
    trace_of_root = np.sqrt(np.clip(cross, 0, None)).sum()
    return float(difference @ difference + np.trace(a.covariance) + np.trace(b.covariance) - 2 * trace_of_root)


def _symmetric_root(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
