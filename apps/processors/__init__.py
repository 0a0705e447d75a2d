"""Reading documents: what is taken, what reads it, and the child process it is read in."""
