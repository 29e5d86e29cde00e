"""Where trials run: one fresh child process for each attempt, watched until it ends."""
