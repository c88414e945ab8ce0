"""Runs inside GIMP: what a plug-in without its protocol package offers and says."""

from gi.repository import Gimp
from scenes import call, make_image

NAMES = ("gan-edit-scribble", "gan-edit-project", "gan-edit-random", "gan-edit-interpolate", "gan-edit-status")


def main():
    procedures = [Gimp.get_pdb().lookup_procedure(name) for name in NAMES]
    menus = [procedure.get_menu_paths() for procedure in procedures]
    image, photo, _ = make_image()
    return {"menus": menus, "answers": [call(name, image, [photo]) for name in NAMES]}
