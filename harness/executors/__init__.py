"""Where attempts run: the protocol of an executor, the supervisor above all executors, and the executors."""
