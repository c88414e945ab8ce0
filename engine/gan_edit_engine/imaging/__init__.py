"""Pictures: files, the model's square of a photo, and the way of an edit back into it."""
