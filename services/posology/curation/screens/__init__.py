"""What keeps a pair out of a data set: filters see it alone, screens all that was accepted before. In the worker."""
