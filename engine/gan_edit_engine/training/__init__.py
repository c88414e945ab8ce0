"""Training of generators and encoders on one machine: what scripts/train_generator.py and its neighbours drive."""
