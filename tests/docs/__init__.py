"""Checks of the documents, and the tables in them that are made from the code."""
