"""Tests of the recipes in docs/recipes: each file is used as it is, by the program it is for."""
