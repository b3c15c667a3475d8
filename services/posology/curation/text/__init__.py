"""Plain functions over the text of labels: normal forms, sentences, quantities, edits. No state, any process."""
