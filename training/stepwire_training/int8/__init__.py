"""Graphs once more with products of 8-bit integers.

What is multiplied is quantised by a scale that is known before anything runs, because its
bounds follow from the graph itself: so no data is needed to calibrate, and no row's scale
depends on the rows beside it.
"""
