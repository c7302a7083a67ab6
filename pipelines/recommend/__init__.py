"""Recommendation: which item a user takes next, or how a user rates an item, from a table of who had what."""
