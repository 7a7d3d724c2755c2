"""What each kernel takes, in ours and in ONNX Runtime, and which nodes of the model it computes.

Both runtimes fuse nodes, each in its own way. So the kernels of both are held against each other by
the sets of nodes that they compute: see ``nodes`` (the sets), ``optimized`` (those of ONNX Runtime)
and ``parts`` (what can be compared).
"""
