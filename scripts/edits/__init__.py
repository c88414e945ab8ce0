"""The parts of evaluate_edits.py and edit_gallery.py: what is asked for, what came of it, and pictures of both."""
