"""The door to released models: speaks the OpenAI API, owns keys, limits, provenance and answer records."""
