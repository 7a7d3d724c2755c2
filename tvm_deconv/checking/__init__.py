"""Whether a compiled model computes what the model's own runtime does, and which layer does not.

subject  a model that its own runtime can run and that can be cut behind any layer
rounding how far a right result may be off, by trying what rounding alone does
draws    random inputs, and sizes for what is free
locate   the first layer where the two part
checker  all of it in order; ``report`` is the outcome
"""
