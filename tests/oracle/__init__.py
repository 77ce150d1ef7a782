"""Small worlds of packages, and what pip, uv, plain micropip and we make of each."""
