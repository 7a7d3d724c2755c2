"""The variant ``channels``: vectors of output channels, pixels broadcast."""
