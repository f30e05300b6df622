"""The recipes of the bundled backbones: one row each, with what it cost and what it reached above it.

Durations: one thread on a server processor with AVX512-BF16, two cores for three trainings and for other programs.
Accuracies: the exported fp16 weights. The bundled files came of these recipes with changes on the way, which their
JSON tells under `history`; what else was tried is in LOG.md.
"""

from __future__ import annotations

from dataclasses import replace

from vitdemo.training.data import Augmentation
from vitdemo.training.supervised import Recipe

# for networks that have seen much already: what they know is bent, not replaced
GENTLE = Augmentation(scale=(0.35, 1.0), rotation=15.0, jitter=0.3, erasing=0.1, mixing_probability=0.5)

# python -m vitdemo train lite --data flowers    35 min, val 0.953, test 0.934
LITE = Recipe(
    name="lite",
    family="EfficientNet-Lite",
    architecture="tf_efficientnet_lite0",
    arguments={},
    training_arguments={"drop_rate": 0.1, "drop_path_rate": 0.1},
    epochs=8,
    resolutions=((0.0, 224),),
    short_side=256,
    learning_rate=1.2e-3,
    layer_decay=0.85,
    warmup_epochs=1,
    ema=0.99,
    seed=8,
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
    augmentation=GENTLE,
    start="lite0",
    evaluation_sizes=(224,),
    crops=(0.875, 0.95, 1.0),
)

# python -m vitdemo train dino --data flowers    52 min, val 0.944 (epoch 11), test 0.938
DINO = Recipe(
    name="dino",
    family="ViT (DINOv2)",
    architecture="vit_small_patch14_dinov2",
    arguments={"img_size": 168},
    training_arguments={"drop_path_rate": 0.1},
    epochs=12,
    resolutions=((0.0, 168),),
    short_side=208,
    learning_rate=8e-4,
    layer_decay=0.7,
    thaw=(0.09, 1.0),
    warmup_epochs=1,
    ema=0.99,
    seed=9,
    augmentation=GENTLE,
    start="dinov2",
    evaluation_sizes=(168,),
    crops=(0.9, 1.0),
)

# python -m vitdemo train resnet --data flowers    1 h 45 min, val 0.897, test 0.883
RESNET = Recipe(
    name="resnet",
    family="ResNet",
    architecture="resnet18",
    arguments={
        "layers": [2, 2, 2, 2],
        "channels": [40, 80, 160, 320],
        "stem_width": 24,
        "stem_type": "deep_tiered",
        "avg_down": True,
    },
    epochs=160,
    resolutions=((0.0, 96), (0.45, 128)),
    learning_rate=1.5e-3,
    restart=0.75,
    restart_rate=7e-4,
)

# python -m vitdemo train hybrid --data flowers    42 min after lite, val 0.958, test 0.946
HYBRID = Recipe(
    name="hybrid",
    family="ViT-CNN hybrid",
    architecture="vit_lite0_tiny",
    arguments={"img_size": 192, "embed_dim": 192, "depth": 4, "num_heads": 3},
    training_arguments={"drop_path_rate": 0.05},
    epochs=12,
    resolutions=((0.0, 192),),
    short_side=232,
    learning_rate=6e-4,
    warmup_epochs=1,
    ema=0.99,
    mean=LITE.mean,
    std=LITE.std,
    augmentation=GENTLE,
    start="lite",
    teacher=("lite",),
    teacher_weight=0.5,
    evaluation_sizes=(192,),
)

# python -m vitdemo train vit --data flowers    1 h 20 min after the ResNet, val 0.780, test 0.763
VIT = Recipe(
    name="vit",
    family="ViT",
    architecture="vit_tiny_patch16_224",
    arguments={"img_size": 128, "embed_dim": 192, "depth": 6, "num_heads": 3},
    training_arguments={"dynamic_img_size": True},
    epochs=180,
    resolutions=((0.0, 96), (0.97, 128)),
    learning_rate=1e-3,
    restart=0.8,
    restart_rate=4e-4,
    augmentation=Augmentation(scale=(0.3, 1.0)),
    mimetic=True,
    teacher=("resnet",),
    guide_weight=1.0,
)

# python -m vitdemo train levit --data flowers    1 h 20 min, val 0.808, test 0.806
LEVIT = Recipe(
    name="levit",
    family="LeViT",
    architecture="levit_128s",
    arguments={
        "img_size": 128,
        "embed_dim": [128, 192, 288],
        "key_dim": 16,
        "num_heads": [4, 6, 8],
        "depth": [3, 4, 3],
    },
    training_arguments={"drop_path_rate": 0.05},
    epochs=200,
    learning_rate=1.5e-3,
    seed=1,
)

# python -m vitdemo train coatnet --data flowers    1 h 20 min, val 0.825, test 0.845
COATNET = Recipe(
    name="coatnet",
    family="CoAtNet",
    architecture="coatnet_nano_rw_224",
    arguments={
        "img_size": 128,
        "embed_dim": [32, 64, 128, 256],
        "depths": [2, 2, 3, 1],
        "stem_width": [16, 32],
    },
    training_arguments={"drop_path_rate": 0.05},
    epochs=110,
    learning_rate=1.5e-3,
    seed=2,
)

# python -m vitdemo train deit --data flowers    14 min after the ViT and the ResNet, val 0.780, test 0.762
DEIT = Recipe(
    name="deit",
    family="DeiT distilled",
    architecture="deit_tiny_distilled_patch16_224",
    arguments=VIT.arguments,
    training_arguments={"dynamic_img_size": True},
    epochs=30,
    resolutions=((0.0, 96), (0.9, 128)),
    learning_rate=5e-4,
    seed=3,
    augmentation=Augmentation(scale=(0.3, 1.0)),
    start="vit",
    teacher=("resnet",),
    teacher_weight=0.5,
    distillation="hard",
)

# python -m vitdemo train mae --data flowers && python -m vitdemo train vit_mae --data flowers
# 26 min and 30 min after the ResNet, val 0.749, test 0.742
VIT_MAE = Recipe(
    name="vit_mae",
    family="ViT (MAE)",
    architecture=VIT.architecture,
    arguments=VIT.arguments,
    training_arguments={"dynamic_img_size": True},
    epochs=40,
    resolutions=((0.0, 96), (0.9, 128)),
    learning_rate=1e-3,
    layer_decay=0.8,
    seed=4,
    augmentation=Augmentation(scale=(0.3, 1.0)),
    start="mae",
    teacher=("resnet",),
    teacher_weight=0.5,
    guide_weight=1.0,
)

# python -m vitdemo train swin --data flowers    38 min after the ResNet, val 0.783, test 0.809
SWIN = Recipe(
    name="swin",
    family="Swin",
    architecture="swin_tiny_patch4_window7_224",
    arguments={
        "img_size": 128,
        "window_size": 4,
        "embed_dim": 48,
        "depths": [2, 2, 4],
        "num_heads": [2, 4, 8],
    },
    training_arguments={"drop_path_rate": 0.05},
    epochs=45,
    learning_rate=1e-3,
    seed=5,
    teacher=("resnet",),
    guide_weight=1.0,
    guide_block=2,  # stage 3 has the stride of the guide
)

# python -m vitdemo train student --data flowers    20 min after the two that teach it, val 0.925, test 0.905
STUDENT = Recipe(
    name="student",
    family="EfficientNet-Lite student",
    architecture="tf_efficientnet_lite0",
    arguments={},
    training_arguments={"drop_path_rate": 0.05},
    epochs=4,
    resolutions=((0.0, 168),),
    short_side=208,
    learning_rate=8e-4,
    layer_decay=0.9,
    warmup_epochs=1,
    ema=0.99,
    seed=6,
    mean=LITE.mean,
    std=LITE.std,
    augmentation=replace(GENTLE, smoothing=0.0),
    start="lite0",
    teacher=("dino", "lite"),
    teacher_weight=0.9,
    teacher_temperature=1.0,  # the mean of calibrated probabilities is taken as it is
    evaluation_sizes=(144, 168),
)

ORDER = (LITE, DINO, HYBRID, STUDENT, RESNET, VIT, LEVIT, COATNET, DEIT, VIT_MAE, SWIN)  # teachers first
RECIPES = {recipe.name: recipe for recipe in ORDER}
