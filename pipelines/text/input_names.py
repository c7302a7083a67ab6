"""The names of a text network's inputs and of the layers that are looked up in it."""

TOKENS = "tokens"  # `(batch, length)` ids of the vocabulary of train
PIECES = "pieces"  # `(batch, longest)` ids of an encoder's own vocabulary
VECTORS = "vectors"  # `(batch, width)` of a frozen encoder
START_LOGITS = "start_logits"  # `(batch, classes)` of TF-IDF
THRESHOLDS = "thresholds"  # the layer that keeps them, where a text may have several classes
ENCODED_BY = "encoded_by"  # the layer that keeps what texts are encoded by
ENCODER = "encoder"  # the tuned encoder in the network
