"""Bugs planted on purpose, and the hunt for them: is the simulator able to find what is wrong?"""
