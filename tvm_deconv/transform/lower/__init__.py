"""From operators to scheduled functions: convolutions with their epilogues, and shuffles."""
