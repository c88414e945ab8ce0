"""Where in a photo the things are that a model knows: their align points, found without anybody's help."""
