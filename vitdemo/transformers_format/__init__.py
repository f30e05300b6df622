"""Classifiers in the format of `transformers`, read without that library: timm's bodies with the heads that they have.

    config.json               architecture, its sizes and settings, the names of the classes    `config`
    preprocessor_config.json  how pictures are made ready                                       `preparation`
    model.safetensors, or its shards and model.safetensors.index.json                           `names`

What a field says is followed, or refused by name; every tensor has its place, or is named in the refusal. `bodies` adds
to timm what its own classes do not do: the settings of the other library, and two heads.
"""

from vitdemo.transformers_format.config import ARCHITECTURES, describe, is_described
from vitdemo.transformers_format.names import Translation, dinov2

__all__ = ["ARCHITECTURES", "Translation", "describe", "dinov2", "is_described"]
