"""Runs inside GIMP: what a plug-in without its protocol package offers and says."""

from gi.repository import Gimp
from scenes import call

NAMES = ("gan-edit-scribble", "gan-edit-project", "gan-edit-random", "gan-edit-interpolate", "gan-edit-status")


def main():
    procedures = [Gimp.get_pdb().lookup_procedure(name) for name in NAMES]
    menus = [procedure.get_menu_paths() for procedure in procedures]
    return {"menus": menus, "answers": [call(name) for name in NAMES[2:]]}
