"""Edits of scikit-image's chelsea (CC0, 451×300), whose pixels the strokes are given in."""

from __future__ import annotations

from edits.gallery import KEPT, NOT, WORK, Edit
from edits.painting import Oval, Polygon, Stroke, arc, below_pupil
from edits.scenes import CHELSEA, Scene

_PLAIN = Scene(CHELSEA)
_LEFT, _RIGHT = Oval(170, 116, 30, 28), Oval(318, 136, 22, 26)
_AROUND_LEFT, _AROUND_RIGHT = Oval(170, 116, 50, 46), Oval(318, 136, 40, 44)
_HEAD = Polygon(
    (
        *((80, 60), (110, 0), (330, 0), (345, 60), (362, 100), (365, 140), (350, 180)),
        *((330, 220), (300, 262), (230, 290), (150, 255), (80, 180)),
    )
)
_NOSE = Oval(264, 238, 44, 36)
_NOSE_STROKE = ((246, 236), (262, 240), (280, 238), (266, 248), (260, 254))
_BROW_SCAR = Stroke((70, 38, 34), ((196, 62), (222, 92), (234, 130)), 4)
_GLARE = Stroke((255, 253, 246), ((214, 100), (222, 108)), 22)


def _pair(colour: tuple[int, int, int]) -> list[Stroke]:
    return [below_pupil(_LEFT, colour), below_pupil(_RIGHT, colour)]


def _fur(light: tuple[int, int, int], dark: tuple[int, int, int]) -> list[Stroke]:
    """Strokes on forehead, cheeks and the bridge of the nose."""
    return [
        Stroke(light, ((140, 60), (190, 40), (210, 75)), 14),
        Stroke(dark, ((225, 20), (250, 45), (290, 25)), 12),
        Stroke(light, ((235, 110), (262, 120), (275, 160)), 14),
        Stroke(light, ((110, 170), (150, 180), (190, 190)), 16),
        Stroke(dark, ((60, 150), (80, 170), (95, 200)), 12),
        Stroke(light, ((310, 180), (330, 185), (320, 205)), 12),
        Stroke(dark, ((215, 170), (225, 190), (220, 210)), 12),
    ]


def _closed(iris: Oval, fur: tuple[int, int, int]) -> list[Stroke]:
    return [
        Stroke(fur, ((iris.x - 0.35 * iris.a, iris.y), (iris.x + 0.35 * iris.a, iris.y)), 1.6 * iris.b),
        Stroke((45, 30, 26), arc(iris, 10, 170, 0.9), 5),
    ]


CHELSEA_EDITS = (
    Edit(
        "blue eyes",
        _PLAIN,
        _pair((90, 140, 200)),
        (_AROUND_LEFT, _AROUND_RIGHT),
        KEPT,
        "Whole irises, pupils and glints kept; slightly violet on the lit side",
    ),
    Edit(
        "copper eyes",
        _PLAIN,
        _pair((170, 88, 36)),
        (_AROUND_LEFT, _AROUND_RIGHT),
        KEPT,
        "As painted, pupils and lids kept",
    ),
    Edit(
        "one eye blue",
        _PLAIN,
        [below_pupil(_LEFT, (90, 140, 200))],
        (_AROUND_LEFT,),
        KEPT,
        "As painted; the other eye is untouched",
    ),
    Edit(
        "odd eyes",
        _PLAIN,
        [below_pupil(_LEFT, (90, 140, 200)), below_pupil(_RIGHT, (205, 135, 45))],
        (_AROUND_LEFT, _AROUND_RIGHT),
        KEPT,
        "Each as painted, pupils and glints kept",
    ),
    Edit(
        "white blaze",
        _PLAIN,
        [
            Stroke((236, 230, 224), ((250, 8), (254, 50), (256, 95)), 24),
            Stroke((236, 230, 224), ((256, 95), (266, 150), (272, 215)), 20),
        ],
        (Oval(258, 100, 90, 135),),
        WORK,
        "A blaze with soft edges; wider than painted, the dark stripes at its top stay",
    ),
    Edit(
        "white patch on the cheek",
        _PLAIN,
        [Stroke((236, 230, 224), ((120, 175), (150, 195), (185, 205), (150, 210)), 22)],
        (Oval(150, 195, 105, 62, 20),),
        WORK,
        "A white cheek with hairs; dark flecks at its edge",
    ),
    Edit(
        "darker fur",
        _PLAIN,
        _fur((64, 54, 50), (34, 28, 27)),
        (_HEAD,),
        KEPT,
        "As dark as painted, hairs and stripes kept",
        ("feather=8",),
    ),
    Edit(
        "cream fur",
        _PLAIN,
        _fur((226, 200, 168), (200, 160, 120)),
        (_HEAD,),
        KEPT,
        "Cream with the stripes faint, as a light cat has them",
        ("feather=8",),
    ),
    Edit(
        "pink nose",
        _PLAIN,
        [Stroke((222, 140, 138), _NOSE_STROKE, 8)],
        (_NOSE,),
        WORK,
        "Pink as painted; a violet fringe above, hardly any shade",
    ),
    Edit(
        "black nose",
        _PLAIN,
        [Stroke((36, 30, 32), _NOSE_STROKE, 8)],
        (_NOSE,),
        KEPT,
        "As painted",
    ),
    Edit(
        "closed eyes",
        _PLAIN,
        [*_closed(_LEFT, (176, 140, 108)), *_closed(_RIGHT, (176, 140, 108))],
        (_AROUND_LEFT, _AROUND_RIGHT),
        WORK,
        "Closed: fur over the eyes and a line of lashes; it is smooth at the left one",
    ),
    Edit(
        "ear dark inside",
        _PLAIN,
        [Stroke((70, 46, 44), ((345, 12), (362, 30), (370, 45), (358, 55)), 14)],
        (Polygon(((300, 0), (400, 0), (385, 60), (350, 85), (325, 60))),),
        NOT,
        "A flat patch over ear and background",
    ),
    Edit(
        "scar on the brow removed",
        Scene(CHELSEA, flaws=(_BROW_SCAR,)),
        [Stroke((176, 140, 108), ((194, 60), (222, 92), (235, 132)), 9)],
        (Polygon(((180, 50), (205, 42), (250, 90), (252, 145), (218, 145), (205, 95))),),
        KEPT,
        "The scar goes, the hairs go on",
    ),
    Edit(
        "glare on the bridge removed",
        Scene(CHELSEA, flaws=(_GLARE,)),
        [Stroke((182, 148, 124), ((212, 98), (224, 110)), 28)],
        (Oval(220, 106, 30, 34),),
        KEPT,
        "The glare goes, the hairs go on",
    ),
    Edit(
        "white whisker pads",
        _PLAIN,
        [
            Stroke((238, 232, 226), ((170, 236), (205, 250), (240, 256)), 20),
            Stroke((238, 232, 226), ((282, 254), (300, 246)), 14),
        ],
        (Oval(228, 250, 92, 42),),
        KEPT,
        "White pads with their spots, the nose kept",
    ),
    Edit(
        "blue eyes and a black nose",
        _PLAIN,
        [*_pair((90, 140, 200)), Stroke((36, 30, 32), _NOSE_STROKE, 8)],
        (_AROUND_LEFT, _AROUND_RIGHT, _NOSE),
        KEPT,
        "Both as painted",
    ),
    Edit(
        "green background",
        _PLAIN,
        [
            Stroke((84, 122, 70), ((410, 60), (425, 130), (405, 180)), 26),
            Stroke((84, 122, 70), ((360, 215), (400, 240), (380, 275)), 26),
        ],
        (Polygon(((400, 0), (451, 0), (451, 300), (320, 300), (330, 230), (355, 170), (366, 110), (372, 65))),),
        NOT,
        "Ends at the model's square; what is in it is tinted only",
    ),
)
