"""The variant ``depthwise``: each output channel from a single input channel."""
