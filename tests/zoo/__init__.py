"""The zoo: one imperfect mirror for each thing that can be wrong."""
