"""The standalone engine of GAN Edit: models, optimisation, the job queue and the command line."""

from importlib.metadata import version

__version__ = version("gan-edit")
