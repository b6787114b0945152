"""Breaks one place of the C++ sources at a time, and shows which tests notice. See tools/mutate.py."""
