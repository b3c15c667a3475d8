"""Expert review, one item a screen, by the keyboard."""
