"""Winograd's form of TDC on processors.

variant  what a layer is computed with; ``tile``, ``space`` and ``choice`` its parameters and cost
steps    the schedule of the products
finish   what is written behind it: ``inputs`` (of rows that ``dealing`` reads), ``products`` and
         ``outputs`` of a ``strip``
"""
