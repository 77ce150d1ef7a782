"""The demonstration: one page that finds a working mirror among six, and installs through it."""
