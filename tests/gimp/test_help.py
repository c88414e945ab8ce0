"""The plug-in's help has a place for each of its menu entries."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from gimp.harness import REPOSITORY

PLUG_IN = REPOSITORY / "gimp_plugin" / "gan-edit"
HELP = PLUG_IN / "help" / "en"


def test_each_entrys_help_leads_to_its_place_in_the_page() -> None:
    entries = re.findall(r'^    "(gan-edit-[a-z]+)": Entry', (PLUG_IN / "gan-edit.py").read_text("utf-8"), re.MULTILINE)
    items = ElementTree.parse(HELP / "gimp-help.xml").getroot()
    assert len(entries) >= 5
    assert {item.get("id"): item.get("ref") for item in items} == {name: f"index.html#{name}" for name in entries}
    places = re.findall(r'<h2 id="([^"]+)">', (HELP / "index.html").read_text("utf-8"))
    assert sorted(places) == sorted(entries)
