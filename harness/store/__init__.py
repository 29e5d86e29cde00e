"""What happened: the record of a trial, and the one owner of every path and every durable write."""
