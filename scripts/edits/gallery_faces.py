"""Edits of evaluation faces in larger photos; strokes are given in the face's 256×256 pixels."""

from __future__ import annotations

from edits.cases import SIDE, Ellipse
from edits.gallery import KEPT, NOT, WORK, Edit
from edits.painting import Colour, Oval, Polygon, Stroke, arc, below_pupil
from edits.scenes import Scene

Marks = dict[str, list[Ellipse]]
"""Both irises by the face's name, as edits.cases.read_irises gives them."""

_GREY, _KITTEN, _GINGER, _STAINED, _LAD, _BRIGHT, _STRING, _LONGHAIR, _BLUE_TABBY, _WHITE, _TABBY, _CALICO = (
    f"256/{name}.jpg"
    for name in (
        "00000031_019",
        "00000274_027",
        "00000343_007",
        "00000347_027",
        "00000371_005",
        "00000575_014",
        "00000611_026",
        "00000876_029",
        "00000936_029",
        "00001096_019",
        "00001212_027",
        "00001152_022",
    )
)
_FACE = Oval(128, 128, 122, 124)


def irises(marks: Marks, face: str) -> tuple[Oval, Oval]:
    """Left and right as the photo shows them, in the face's pixels."""
    first, second = ((x * SIDE, y * SIDE, a * SIDE, b * SIDE, turn) for x, y, a, b, turn in marks[face])
    return Oval(*first), Oval(*second)


def face_edits(marks: Marks) -> list[Edit]:
    return [*_of_eyes(marks), *_of_flaws(marks), *_of_looks(marks)]


def _pair(marks: Marks, face: str, colour: Colour) -> list[Stroke]:
    return [below_pupil(iris, colour) for iris in irises(marks, face)]


def _around(marks: Marks, face: str) -> list[Oval]:
    return [Oval(iris.x, iris.y, 36, 30) for iris in irises(marks, face)]


def _of_eyes(marks: Marks) -> list[Edit]:
    def recoloured(name: str, scene: Scene, colour: Colour, verdict: str, reason: str) -> Edit:
        return Edit(name, scene, _pair(marks, scene.face, colour), _around(marks, scene.face), verdict, reason)

    return [
        recoloured(
            "amber eyes, dark photo",
            Scene(_BRIGHT, light="dark"),
            (96, 62, 22),
            KEPT,
            "Even colour as painted, pupils and lids kept",
        ),
        recoloured(
            "green eyes, flash",
            Scene(_GINGER, light="flash"),
            (120, 165, 90),
            KEPT,
            "As painted, pupils and glints kept",
        ),
        recoloured(
            "copper eyes, head turned",
            Scene(_GREY, turn=30),
            (150, 86, 40),
            KEPT,
            "As painted, glints kept",
        ),
        recoloured(
            "blue eyes, on a table",
            Scene(_LONGHAIR, behind="coffee"),
            (100, 150, 205),
            KEPT,
            "As painted, pupils kept",
        ),
        recoloured(
            "blue eyes of a kitten",
            Scene(_KITTEN, turn=-25),
            (90, 130, 185),
            KEPT,
            "As painted; the glints turn blue at their edges",
        ),
        recoloured(
            "amber eyes, overexposed",
            Scene(_WHITE, light="flash"),
            (205, 145, 50),
            KEPT,
            "As painted",
        ),
    ]


def _of_flaws(marks: Marks) -> list[Edit]:
    left, _ = irises(marks, _STAINED)
    glare = Stroke((255, 255, 255), ((left.x - 9, left.y + 8), (left.x + 5, left.y + 8)), 9)
    return [
        Edit(
            "glare in the eye removed",
            Scene(_STAINED, flaws=(glare,)),
            [Stroke((150, 166, 132), ((left.x - 13, left.y + 7), (left.x + 9, left.y + 9)), 11)],
            (Oval(left.x, left.y, 36, 32),),
            KEPT,
            "The glare goes; iris and pupil are whole",
        ),
        Edit(
            "stained chin cleaned",
            Scene(_STAINED),
            [
                Stroke((226, 224, 222), ((100, 212), (128, 218), (156, 212)), 10),
                Stroke((226, 224, 222), ((92, 202), (112, 206)), 8),
                Stroke((226, 224, 222), ((146, 206), (160, 202)), 8),
            ],
            (Oval(126, 206, 56, 32),),
            KEPT,
            "White, hairs kept",
        ),
        Edit(
            "tear stains removed",
            Scene(_WHITE, turn=20),
            [
                Stroke((226, 220, 216), ((90, 120), (96, 132), (96, 146)), 8),
                Stroke((226, 220, 216), ((170, 122), (166, 134), (165, 144)), 8),
            ],
            (Oval(93, 134, 18, 26), Oval(168, 134, 18, 26)),
            NOT,
            "White patches beside the stains: the paint is lighter than the fur around",
        ),
        Edit(
            "brown spot on the lip removed",
            Scene(_CALICO, behind="coffee"),
            [Stroke((238, 214, 206), ((142, 213), (152, 211), (163, 208)), 13)],
            (Oval(154, 209, 24, 16),),
            KEPT,
            "The spot goes, the lip stays white",
        ),
        Edit(
            "ribbon over the face removed",
            Scene(_STRING),
            [
                Stroke((188, 180, 184), ((75, 12), (95, 55), (112, 90)), 11),
                Stroke((226, 222, 224), ((112, 90), (128, 126)), 11),
                Stroke((96, 48, 42), ((128, 130), (138, 150)), 10),
                Stroke((220, 214, 216), ((144, 166), (158, 196)), 10),
            ],
            (Polygon(((60, 6), (90, 6), (130, 80), (160, 135), (178, 205), (145, 205), (110, 140), (90, 80))),),
            NOT,
            "Brighter, but there",
        ),
    ]


def _of_looks(marks: Marks) -> list[Edit]:
    fur = ((128, 110, 92), (44, 32, 26))
    closed = [stroke for iris in irises(marks, _TABBY) for stroke in _closed(iris, *fur)]
    return [
        Edit(
            "tongue out",
            Scene(_LONGHAIR, behind="coffee"),
            [
                Stroke((58, 26, 26), ((108, 188), (128, 194), (148, 188)), 9),
                Stroke((224, 120, 126), ((128, 198), (128, 212)), 16),
            ],
            (Oval(128, 202, 48, 34),),
            NOT,
            "No tongue: lip and chin turn pink",
        ),
        Edit(
            "closed eyes, head turned",
            Scene(_TABBY, turn=-35),
            closed,
            _around(marks, _TABBY),
            NOT,
            "The eyes stay open: the lids' colour is too near the irises'",
        ),
        Edit(
            "white blaze on grey",
            Scene(_GREY),
            [
                Stroke((226, 222, 220), ((128, 20), (128, 60), (128, 95)), 14),
                Stroke((226, 222, 220), ((128, 95), (130, 140)), 12),
            ],
            (Oval(128, 84, 58, 82),),
            KEPT,
            "A blaze with soft edges, where it was painted",
        ),
        Edit(
            "grey muzzle of an old cat",
            Scene(_LONGHAIR, turn=25),
            [
                Stroke((206, 200, 194), ((84, 176), (100, 184), (112, 182)), 12),
                Stroke((206, 200, 194), ((146, 182), (158, 184), (172, 176)), 12),
                Stroke((206, 200, 194), ((116, 208), (128, 212), (140, 208)), 12),
            ],
            (Oval(128, 190, 64, 42),),
            KEPT,
            "Pads and chin go grey, whiskers and nose stay",
        ),
        Edit(
            "black nose and amber eyes, head turned",
            Scene(_BLUE_TABBY, turn=-30),
            [
                *_pair(marks, _BLUE_TABBY, (205, 140, 50)),
                Stroke((40, 36, 40), ((118, 182), (130, 188), (144, 182)), 8),
            ],
            (*_around(marks, _BLUE_TABBY), Oval(130, 186, 28, 20)),
            WORK,
            "The eyes as painted; the nose is flat",
        ),
        Edit(
            "pink nose, dark photo",
            Scene(_BRIGHT, light="dark"),
            [Stroke((88, 48, 50), ((118, 208), (132, 210), (146, 206)), 8)],
            (Oval(132, 208, 30, 20),),
            KEPT,
            "As painted",
        ),
        Edit(
            "grey cat made cream",
            Scene(_GREY, behind="coffee"),
            [
                Stroke((214, 186, 150), ((60, 50), (90, 40), (110, 60)), 14),
                Stroke((214, 186, 150), ((150, 55), (180, 45)), 14),
                Stroke((204, 172, 136), ((128, 80), (130, 120)), 12),
                Stroke((224, 202, 172), ((60, 150), (85, 165)), 14),
                Stroke((224, 202, 172), ((170, 165), (195, 150)), 14),
                Stroke((230, 212, 186), ((110, 210), (145, 212)), 12),
            ],
            (_FACE,),
            WORK,
            "Cream with hairs; paler eyes, a dark rim where the selection ends",
            ("feather=8",),
        ),
        Edit(
            "kitten made brown",
            Scene(_KITTEN),
            [
                Stroke((104, 72, 48), ((70, 60), (110, 40)), 14),
                Stroke((104, 72, 48), ((150, 45), (185, 65)), 14),
                Stroke((92, 62, 42), ((128, 70), (128, 110)), 12),
                Stroke((120, 86, 60), ((60, 150), (85, 170)), 14),
                Stroke((120, 86, 60), ((170, 165), (190, 145)), 12),
            ],
            (Oval(125, 120, 112, 116),),
            WORK,
            "Brown with hairs; a disc, for the selection cuts through the fur",
            ("feather=8",),
        ),
        Edit(
            "black patch around one eye",
            Scene(_WHITE, behind="coffee"),
            [
                Stroke((38, 34, 36), ((50, 80), (75, 72), (98, 84)), 12),
                Stroke((38, 34, 36), ((48, 118), (62, 132), (84, 130)), 12),
            ],
            (Oval(74, 104, 64, 66),),
            WORK,
            "A black patch with soft edges, the eye kept; open at one side as painted, its edge has no hairs",
        ),
        Edit(
            "grass turned brown",
            Scene(_LAD),
            [Stroke((130, 100, 70), ((236, 160), (215, 200), (195, 235)), 16)],
            (Polygon(((256, 110), (256, 256), (170, 256), (205, 190), (232, 130))),),
            WORK,
            "Brown, with a hard edge where the stroke ended",
        ),
    ]


def _closed(iris: Oval, fur: Colour, lid: Colour) -> list[Stroke]:
    return [
        Stroke(fur, ((iris.x - 0.4 * iris.a, iris.y), (iris.x + 0.4 * iris.a, iris.y)), 1.7 * iris.b),
        Stroke(lid, arc(iris, 15, 165, 0.95), 3),
    ]
