"""The variant ``channels``: vectors of output channels, pixels broadcast.

variant  what a layer is computed with; ``tile`` and ``space`` its parameters, their cost and choice
write    the loop nest: ``copy`` has the input, ``sums`` the products, ``store`` what follows
strip    what these know of the piece of work that they are in
"""
