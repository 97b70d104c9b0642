"""Shapes of data sets, images for scores, and images for training."""
