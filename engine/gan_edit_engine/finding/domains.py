"""What a model shows, by what is said of it: the ``domain`` of its header, else what its file is called."""

from __future__ import annotations

UNKNOWN = ("", "unknown")
PEOPLE = "human face"
_ALSO_PEOPLE = (PEOPLE, "painted face")
_SETS_OF_PEOPLE = ("ffhq", "celeba", "metface")
"""Data sets of people's faces: FFHQ (aligned or not), CelebA and CelebA-HQ, MetFaces; parts of words."""


def kind_of(domain: str, names: str) -> str:
    """Of the ``domain`` "cat face, eyes level …" what it is of, "cat face".

    "human face" for every domain of people's faces. ``names``: of the files that the model comes from, which tell of
    people where the domain says nothing.
    """
    told = names if domain in UNKNOWN else domain
    kind = domain.split(",")[0].strip().casefold()
    of_people = kind in _ALSO_PEOPLE or any(one in told.casefold() for one in _SETS_OF_PEOPLE)
    return PEOPLE if of_people else kind
