"""Default schedules of what no template covers."""
