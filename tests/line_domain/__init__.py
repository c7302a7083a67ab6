"""A fifth domain, rehearsed: a line fitted to points, small enough to train in a second.

It is what `docs/add-a-domain.md` builds: a folder with the contract's file names, nothing else
changed.
"""
