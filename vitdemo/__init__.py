"""See what vision transformers look at, and what fusing them changes.

The way of a picture, one stage after the other:

1. `images`     a path, bytes or a PIL picture becomes upright RGB; every limit on pictures lives there.
2. `backbones`  the catalogue says which backbones there are; `weights` fetches and checks their files;
   `models` puts them on the device, in a cache bounded in bytes, each with its own transform.
3. `predict`    pictures become logits, probabilities and pooled features.
4. `fusion`     the backbones' probabilities become one prediction and a weight for each backbone.
5. `attention`  records every attention matrix of a forward pass and rolls them out to a map.
   `explain`    holds every explanation: attention rollout, gradients (Captum), perturbation (Captum).
6. `draw`       raw maps become pictures.

`pipeline.analyse` walks this way once; the page (`ui`), the command line and the API call nothing else.
"""
