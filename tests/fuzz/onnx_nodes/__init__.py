"""One function a kind of node: it draws the attributes and lets the graph grow by it.

Each is called with the graph and the value to go on from and returns the result; ``NodeRefused``
comes out of it where ONNX Runtime does not take what was drawn.
"""
