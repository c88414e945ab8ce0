"""The algorithm: latents that a photo or a scribble asks for."""
