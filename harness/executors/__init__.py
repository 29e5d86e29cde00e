"""Where an attempt runs: the protocol of an executor, and the local child process that implements it."""
