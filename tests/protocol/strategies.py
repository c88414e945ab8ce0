"""hypothesis strategies for every message of the protocol, and for frames that are none."""

from __future__ import annotations

import dataclasses
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from gan_edit_protocol.arrays import ITEM_SIZES, Array
from gan_edit_protocol.events import (
    Accepted,
    Cancelled,
    EngineStatus,
    FacesFound,
    Failed,
    FramesReady,
    Look,
    Notice,
    Progress,
    ResultReady,
    WorkerStatus,
)
from gan_edit_protocol.geometry import Align, Box, Crop, Face, Place
from gan_edit_protocol.latent import Latent
from gan_edit_protocol.requests import (
    CancelRequest,
    EditRequest,
    FindRequest,
    ImagineRequest,
    InterpolateRequest,
    LookRequest,
    ProjectRequest,
    RandomRequest,
    ShutdownRequest,
    StatusRequest,
)
from gan_edit_protocol.settings import (
    EditSettings,
    ImagineSettings,
    InterpolateSettings,
    ProjectSettings,
    RandomSettings,
)
from gan_edit_protocol.spec import Settings, Spec

job_names = st.text("0123456789abcdef", min_size=32, max_size=32)
numbers = st.floats(-1e9, 1e9)
whole_numbers = st.integers(0, 2**31 - 1)
texts = st.text(max_size=30)
sides = st.integers(1, 5)


@st.composite
def arrays(draw: st.DrawFn, shape: tuple[int, ...] | None = None, dtype: str | None = None) -> Array:
    """An array with bytes of its own; ``shape`` and ``dtype`` are drawn where they are not given."""
    shape = shape or draw(st.lists(sides, min_size=1, max_size=3).map(tuple))
    dtype = dtype or draw(st.sampled_from(sorted(ITEM_SIZES)))
    size = ITEM_SIZES[dtype]
    for side in shape:
        size *= side
    return Array(dtype, shape, draw(st.binary(min_size=size, max_size=size)))


def values_of(spec: Spec) -> SearchStrategy[Any]:
    """Every value that a setting allows."""
    if spec.choices:
        return st.sampled_from(spec.choices)
    if spec.type is bool:
        return st.booleans()
    if spec.type is str:
        return st.text(max_size=30).map(str.strip)  # as the command line reads it
    bounds = {"min_value": spec.minimum, "max_value": spec.maximum}
    return st.integers(**bounds) if spec.type is int else st.floats(**bounds)


@st.composite
def settings_of(draw: st.DrawFn, kind: type[Settings]) -> Any:
    """Settings of which a few differ from their defaults."""
    chosen = draw(st.lists(st.sampled_from(kind.specs()), max_size=4, unique_by=lambda spec: spec.name))
    return kind.from_dict({spec.name: draw(values_of(spec)) for spec in chosen})


aligns = st.none() | st.builds(Align, numbers, numbers, numbers, numbers)
crops = st.none() | st.builds(Crop, numbers, numbers, numbers, numbers)


boxes = st.builds(Box, *[whole_numbers] * 4)


def places(height: int, width: int) -> SearchStrategy[Place | None]:
    """Where pixels of that size may lie."""
    offsets = st.integers(0, 1000)
    return st.none() | st.builds(
        lambda x, y, right, below: Place(x, y, x + width + right, y + height + below), *[offsets] * 4
    )


noises, residuals = st.none() | arrays((1, 4), "float32"), st.none() | arrays((4, 2, 2), "uint16")
starts = st.none() | st.builds(Latent, arrays((2, 3), "float32"), noises, residuals)
latents = st.builds(
    Latent, arrays((2, 3), "float32"), noises, residuals, st.none() | arrays((5,), "float32"), numbers, texts
)


@st.composite
def edit_requests(draw: st.DrawFn) -> EditRequest:
    h, w = draw(sides), draw(sides)
    return EditRequest(
        photo=draw(arrays((h, w, draw(st.sampled_from([3, 4]))))),
        scribble=draw(arrays((h, w, 4), "uint8")),
        mask=draw(st.none() | arrays((h, w), "uint8")),
        model=draw(texts),
        align=draw(aligns),
        crop=draw(crops),
        place=draw(places(h, w)),
        settings=draw(settings_of(EditSettings)),
        latent=draw(starts),
    )


@st.composite
def project_requests(draw: st.DrawFn) -> ProjectRequest:
    h, w = draw(sides), draw(sides)
    return ProjectRequest(
        photo=draw(arrays((h, w, draw(st.sampled_from([3, 4]))))),
        mask=draw(st.none() | arrays((h, w), "uint8")),
        model=draw(texts),
        align=draw(aligns),
        crop=draw(crops),
        place=draw(places(h, w)),
        settings=draw(settings_of(ProjectSettings)),
        latent=draw(starts),
    )


@st.composite
def find_requests(draw: st.DrawFn) -> FindRequest:
    h, w = draw(sides), draw(sides)
    photo = draw(arrays((h, w, draw(st.sampled_from([3, 4])))))
    return FindRequest(photo, draw(st.none() | arrays((h, w), "uint8")), draw(texts))


faces = st.builds(Face, aligns.filter(bool), crops.filter(bool), numbers)


@st.composite
def faces_found(draw: st.DrawFn) -> FacesFound:
    found = tuple(draw(st.lists(faces, max_size=3)))
    return FacesFound(draw(texts), found, draw(st.integers(-1, len(found) - 1)), draw(aligns))


requests = st.one_of(
    find_requests(),
    edit_requests(),
    project_requests(),
    st.builds(RandomRequest, texts, settings_of(RandomSettings)),
    st.builds(ImagineRequest, arrays((2, 3, 4), "uint8"), texts, settings_of(ImagineSettings)),
    st.builds(
        InterpolateRequest,
        arrays((2, 3, 4), "float32"),
        st.none(),
        texts,
        settings_of(InterpolateSettings),
        whole_numbers,
    ),
    st.builds(
        InterpolateRequest,
        arrays((2, 3), "float32"),
        arrays((2,), "float32"),
        texts,
        settings_of(InterpolateSettings),
        whole_numbers,
    ),
    st.builds(
        LookRequest,
        st.integers(1, 1000),
        st.integers(1, 1000),
        texts,
        aligns,
        crops,
        st.none() | boxes,
        numbers,
        st.integers(1, 16),
    ),
    st.builds(StatusRequest, st.none() | st.integers(1, 2**31 - 1)),
    st.builds(CancelRequest, texts),
    st.builds(ShutdownRequest),
)

_result_fields = {
    field.name: {"str": texts, "int": whole_numbers, "float": numbers}[str(field.type)]
    for field in dataclasses.fields(ResultReady)
    if field.type in ("str", "int", "float")
}
events = st.one_of(
    st.builds(Accepted, whole_numbers),
    st.builds(Progress, texts, whole_numbers, whole_numbers, numbers, st.none() | arrays(dtype="uint8")),
    st.builds(
        ResultReady,
        image=arrays(),
        latent=latents,
        mask=st.none() | arrays(dtype="uint8"),
        latent_start=st.none() | arrays((2, 3), "float32"),
        **_result_fields,
    ),
    st.builds(
        FramesReady,
        frames=arrays((2, 3, 4, 3), "uint8"),
        latents=arrays(dtype="float32"),
        first=whole_numbers,
        of=whole_numbers,
        errors=st.none() | arrays((2,), "float32"),
        model=texts,
        device=texts,
        seed=whole_numbers,
        seconds=numbers,
    ),
    faces_found(),
    st.builds(Notice, texts, texts),
    st.builds(Look, boxes),
    st.builds(Failed, texts, texts, texts),
    st.builds(Cancelled),
    st.builds(
        EngineStatus,
        *(texts, whole_numbers, st.lists(st.builds(WorkerStatus, texts, texts), max_size=3).map(tuple), whole_numbers),
        *(st.lists(texts, max_size=3).map(tuple), whole_numbers, whole_numbers),
    ),
)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)
garbage_frames = st.lists(st.binary(max_size=200), min_size=1, max_size=12)
