"""The page for people without GIMP."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from gan_edit_engine.serving.desk import Desk
from gan_edit_engine.serving.limits import Limits
from gan_edit_protocol.client import Client

LOOK: dict[str, Any] = {}


def build(desk: Desk, connect: Callable[[], Client], limits: Limits) -> None:
    """Put the page's pieces into the ``gr.Blocks`` around."""
    gr.Markdown("# GAN Edit")
