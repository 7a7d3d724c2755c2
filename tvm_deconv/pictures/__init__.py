"""A compiled library as a function from pictures to pictures."""
