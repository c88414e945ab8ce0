"""The engine for those who are elsewhere: a page for people and an endpoint for programs. Never imports torch."""

import os

# Gradio would report to its makers; it looks at these when it is imported, which only this room does.
os.environ.update(HF_HUB_DISABLE_TELEMETRY="1", GRADIO_ANALYTICS_ENABLED="False")
