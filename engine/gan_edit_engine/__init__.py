"""The standalone engine of GAN Edit: models, optimisation, the job queue and the command line."""
