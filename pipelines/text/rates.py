"""How fast the layers of a tuned encoder learn: slower than the head, and slower further down."""

from collections.abc import Mapping

import keras

from pipelines.pretrained import bert
from pipelines.text.architectures import num_tuned
from pipelines.text.input_names import ENCODER
from pipelines.text.spec import TextSpec


def learning_rates(network: keras.Model, spec: TextSpec) -> Mapping[str, float]:
    """Return the peak learning rate of each tuned weight of an encoder, by its path.

    The top layer has `encoder.learning_rate`, and each layer `encoder.decay` times the rate of the
    one above it (J. Howard and S. Ruder, "Universal Language Model Fine-tuning", ACL 2018).
    """
    if not num_tuned(spec):
        return {}
    encoder = network.get_layer(ENCODER)
    rate = spec.encoder.learning_rate
    rates = {}
    names = [layer.name for layer in encoder.layers if isinstance(layer, bert.BertLayer)]
    for name in [*reversed(names), bert.EMBEDDINGS]:
        for weight in encoder.get_layer(name).trainable_weights:
            rates[weight.path] = rate
        rate *= spec.encoder.decay
    return rates
