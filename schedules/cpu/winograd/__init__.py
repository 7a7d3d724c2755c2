"""Winograd's form of TDC on processors.

variant  what a layer is computed with: parameters in ``tile``, which a tuner tries in ``space``
layout   the sizes that follow of a strip and of its buffers, from an ``axis`` each
choice   the tile that is taken: by ``cycles``, which sums up the measured ``stage_cycles``
steps    the schedule of the products
finish   what is written behind it: ``inputs`` (of rows that ``dealing`` reads), ``products`` and
         ``outputs`` of a ``strip``
"""
