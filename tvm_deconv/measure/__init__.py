"""What every measurement needs: the peak of a machine, and the facts about it."""
