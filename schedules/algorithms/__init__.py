"""What is computed, for every kind of machine: stages as tensor expressions."""
