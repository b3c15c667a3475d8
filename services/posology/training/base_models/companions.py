"""Which files make a model folder, and which are never touched."""

COMPANIONS = frozenset(
    {
        "tokenizer.json",
        "tokenizer.model",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "added_tokens.json",
        "vocab.json",
        "vocab.txt",
        "merges.txt",
        "chat_template.jinja",
        "chat_template.json",
        "generation_config.json",
        "LICENSE",
        "LICENSE.txt",
        "USE_POLICY.md",
        "NOTICE",
    }
)
"""What stands beside weights and config, and is passed on from base to tuned model unchanged."""

WEIGHTS = ".safetensors"
INDEX = "model.safetensors.index.json"
PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".h5", ".msgpack")
"""Formats that run code when they are read, or that nobody here reads."""
