"""Files of finders: the networks' weights in half precision, and in the header what they find."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from safetensors.torch import save_file

from gan_edit_engine.checkpoints import safetensors_file
from gan_edit_engine.checkpoints.errors import CheckpointError
from gan_edit_engine.finding.find import Finder
from gan_edit_engine.finding.network import FinderNetworks
from gan_edit_engine.generators import check_state
from gan_edit_engine.imaging.square import AlignPoints
from gan_edit_engine.library.models_folder import parse_align_points
from gan_edit_engine.system.atomic_write import replacing

ARCHITECTURE = "finder"


@dataclass(frozen=True)
class Finding:
    """What a finder finds: the ``domain`` in a word or two, and where its align points lie in the unit square."""

    domain: str
    canonical: AlignPoints


def save_finder(path: Path, networks: FinderNetworks, finding: Finding, header: dict[str, str]) -> None:
    """Write the networks, whole or not at all, with what they find and ``header``."""
    tensors = {
        name: (value.half() if value.is_floating_point() else value).contiguous()
        for name, value in networks.state_dict().items()
    }
    about = {"architecture": ARCHITECTURE, "domain": finding.domain, "align_points": json.dumps(finding.canonical)}
    with replacing(path) as part:
        save_file(tensors, part, metadata={**header, **about})


def read_finding(path: Path) -> Finding:
    """What the file finds, by its header; CheckpointError when it is damaged or something else."""
    header = safetensors_file.read_header(path)
    if header.get("architecture") != ARCHITECTURE:
        raise CheckpointError(path, "it holds no finder")
    try:
        points = parse_align_points(header["align_points"])
        if points is None:
            raise ValueError("it names no alignment points")
        return Finding(header["domain"], points)
    except (KeyError, ValueError) as error:
        raise CheckpointError(path, f"its header does not say what it finds ({error})") from None


def load_finder(path: Path) -> Finder:
    """The finder of a file; CheckpointError when it is damaged or of another make."""
    finding, networks = read_finding(path), FinderNetworks()
    state = safetensors_file.read_tensors(path)
    try:
        check_state(networks.state_dict(), state)
    except ValueError as error:
        raise CheckpointError(path, str(error).rstrip(".")) from None
    networks.load_state_dict(state)
    return Finder(networks, finding.canonical)
