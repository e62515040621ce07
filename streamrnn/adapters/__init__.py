"""Detectors in the shape that other libraries expect: river and scikit-learn."""
