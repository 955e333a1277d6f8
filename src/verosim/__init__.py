"""Synthetic data of every kind, with proof of how good and how private it is."""
