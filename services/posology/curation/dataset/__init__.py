"""The data set itself: sources to a corpus, candidates in turns, the build, its split and its card. In the worker."""
