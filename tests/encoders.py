"""A BERT encoder of a few weights in a folder, as Hugging Face's libraries write it."""

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

WIDTH, INNER, DEPTH, HEADS, POSITIONS, TYPES = 8, 16, 2, 2, 32, 2
PIECES = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "good", "bad", "film", "##s", "a", "!", "the", "g")


def tiny_encoder(folder: Path, **changes: object) -> Path:
    """Write an encoder of two layers with random weights; `changes` are of its config.json."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {
        "model_type": "bert",
        "vocab_size": len(PIECES),
        "hidden_size": WIDTH,
        "num_hidden_layers": DEPTH,
        "num_attention_heads": HEADS,
        "intermediate_size": INNER,
        "max_position_embeddings": POSITIONS,
        "type_vocab_size": TYPES,
        "layer_norm_eps": 1e-12,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.1,
        "attention_probs_dropout_prob": 0.1,
        **changes,
    }
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": True}))
    (folder / "vocab.txt").write_text("\n".join(PIECES) + "\n")
    save_file(tiny_tensors(), folder / "model.safetensors")
    return folder


def tiny_tensors() -> dict[str, np.ndarray]:
    """Return random weights under the names that they have in a Hugging Face file."""
    rng = np.random.default_rng(0)
    tensors: dict[str, np.ndarray] = {}

    def add(name: str, *shape: int) -> None:
        tensors[name] = rng.normal(0, 0.3, shape).astype(np.float32)

    def add_dense(name: str, size: int, units: int) -> None:
        add(f"{name}.weight", units, size)
        add(f"{name}.bias", units)

    def add_norm(name: str) -> None:
        add(f"{name}.weight", WIDTH)
        add(f"{name}.bias", WIDTH)

    add("embeddings.word_embeddings.weight", len(PIECES), WIDTH)
    add("embeddings.position_embeddings.weight", POSITIONS, WIDTH)
    add("embeddings.token_type_embeddings.weight", TYPES, WIDTH)
    add_norm("embeddings.LayerNorm")
    for number in range(DEPTH):
        start = f"encoder.layer.{number}."
        for part in ("self.query", "self.key", "self.value", "output.dense"):
            add_dense(f"{start}attention.{part}", WIDTH, WIDTH)
        add_norm(f"{start}attention.output.LayerNorm")
        add_dense(f"{start}intermediate.dense", WIDTH, INNER)
        add_dense(f"{start}output.dense", INNER, WIDTH)
        add_norm(f"{start}output.LayerNorm")
    return tensors
