"""From a model file to a Relax module that the passes understand."""
