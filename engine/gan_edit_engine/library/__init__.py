"""The model library: what is installed, opening a model by name or file, downloads and imports."""
