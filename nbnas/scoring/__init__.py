"""Scores of one network, of many networks, and the tables that store them."""
