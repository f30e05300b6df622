"""English. Titles and sentences of fusions and explanations stand in their registries."""

TEXT = {
    "tagline": "See what vision transformers look at, and what fusing them changes",
    "copy_link": "Copy link",
    "copied": "Copied",
    "picture": "Picture: drop, paste or take one",
    "samples": "Samples",
    "analyse": "Analyse",
    "analyse_about": "Analyse (about {seconds} s)",
    "analyse_fetch": "Analyse (fetches {megabytes} MB once)",
    "cancel": "Cancel",
    "collection": "Collection",
    "collection.info": "Backbones that share their classes.",
    "collection.flowers": "Flowers",
    "collection.imagenet": "ImageNet",
    "backbones": "Backbones",
    "backbones.info": "Trained networks that each give an answer of their own.",
    "backbone.weights": "{millions} M weights",
    "backbone.download": "fetches {megabytes} MB once",
    "fusion": "Fusion",
    "fusion.info": "How several answers become one.",
    "methods": "Maps",
    "methods.info": "What to draw over the picture.",
    "more": "Settings of the maps",
    "head_fusion": "Rollout: attention heads",
    "head_fusion.info": "Each layer looks in several ways (heads); this makes one of them.",
    "head_fusion.mean": "mean",
    "head_fusion.max": "max",
    "head_fusion.min": "min",
    "discard": "Rollout: share of weak attention to ignore",
    "discard.info": "0 follows the paper; more makes the map sparser.",
    "baseline": "Blank picture",
    "baseline.info": "What integrated gradients fade in from, and what occlusion hides a patch with.",
    "steps": "Integrated gradients: steps",
    "steps.info": "To begin with; doubled, up to 256, until the map adds up.",
    "samples_count": "SmoothGrad: noisy copies",
    "samples_count.info": "More copies make a calmer map and take longer.",
    "noise": "SmoothGrad: strength of the noise",
    "noise.info": "Standard deviation, where 1 is the step from black to white.",
    "patches": "Occlusion: patches along the long side",
    "patches.info": "More patches show finer detail and take longer.",
    "target": "Maps for the class",
    "target.info": "The fused answer, or any class.",
    "target.top": "fused answer",
    "opacity": "Opacity",
    "opacity.info": "How strongly they cover the picture.",
    "scale": "Colour scale",
    "scale.info": "Which maps share one scale.",
    "scale.each": "each map",
    "scale.row": "each backbone",
    "scale.all": "each method",
    "colours": "Colours",
    "colours.info": "For maps without a sign.",
    "figure": "Figure (PNG)",
    "raw": "Raw maps (NPZ)",
    "json": "Everything (JSON)",
    "fused": "Fused",
    "weight": "weight {weight}",
    "weight.none": "not counted",
    "agree.one": "One backbone, nothing to fuse.",
    "agree.all": "All {count} backbones agree.",
    "agree.not": "{names} {verb}: {label}",
    "agree.disagrees": "disagrees",
    "agree.disagree": "disagree",
    "agreement": "agreement {percent} %",
    "agreement.more": "1 minus the Jensen-Shannon divergence of the probabilities: 100 % when all say the same.",
    "ran": "{fusion} of {count} · {device} · {seconds} s",
    "ran.sample": "sample",
    "not_offered": "No map: {reason}",
    "not_seen": "Hatched: cut away before the backbone saw it.",
    "map_of": "{method} of {subject} for {target}",
    "adds_up": "adds up to {sum} of {difference} % points",
    "adds_up.more": (
        "The probability of {target} is {picture} % for the picture and {baseline} % for the blank one; the map has to "
        "add up to the difference. It is off by {error} % of it after {steps} steps."
    ),
    "adds_up.off": ", more than 5 % off",
    "adds_up.nothing": "picture and blank one score the same",
    "members": "from {members} of {of} backbones",
    "same_for_all": "the same for every class",
    "limits": "What it cannot tell",
    "working.loading": "Loading the backbones",
    "working.waiting": "Waiting for memory that another visitor uses",
    "working.fetching": "Fetching {subject}: {done} of {total} MB",
    "working.predicted": "Predicted; drawing the maps",
    "working.explaining": "{method}: {subject}",
    "working.queued": "Starting",
    "stale": "These are the results of the settings before. To bring them up to date, press: {button}.",
    "cancelled": "Cancelled. What was there before is kept.",
    "no_picture": "No picture yet: drop one above, paste it, take one, or choose a sample.",
    "no_methods": "No maps chosen: tick one or more under Maps.",
    "unexpected": "Something went wrong that should not have. The server goes on; what happened is in its log.",
    "link_ignored": "A part of the link was not understood and left out: {what}.",
    "footnote": (
        "A map shows what a method computes, not what a network thinks. Red speaks for the class, blue against it; "
        "unsigned maps run from dark to bright. Maps of single pixels are smoothed a little to be seen; raw values are "
        "in the downloads."
    ),
    "other_language": "中文",
    "look": "Dark",
    "projector": "Projector",
    "tab.analyse": "Analyse",
    "tab.compare": "Compare",
    "tab.learn": "Learn",
    "group.simple": "simple",
    "group.fitted": "fitted on pictures set aside",
    "fusions.refused": "Not offered: {names} ({reason})",
    "family.attention": "from attention",
    "family.gradient": "from gradients",
    "family.perturbation": "by hiding parts",
    "family.cam": "from the last feature maps",
    "comma": ", ",
    "compare.this": "This picture",
    "compare.this.reading": (
        "Every fusion asks the same backbones about the picture at the left; only what is made of their answers "
        "differs."
    ),
    "compare.this.fusion": "Fusion",
    "compare.this.best": "Its three best classes",
    "compare.this.weights": "Weight of each backbone",
    "compare.same": "All {count} fusions say {label}.",
    "compare.says": "{label}: {names}",
    "compare.chosen": "chosen",
    "compare.refused": "Not offered: {reason}",
    "compare.absent": (
        "Nothing has been measured for the collection {collection}. Figures for it are made by: python -m "
        "vitdemo evaluate --data FOLDER"
    ),
    "compare.measured.title": "On the test pictures",
    "compare.measured.title.reading": "What counts is not one picture but many that nobody learned from.",
    "compare.measured": "Measured once on {pictures} test pictures; nothing was chosen on them.",
    "compare.best": "The best single backbone is {name}, right on {share} % of them.",
    "compare.better": (
        "Fusions of {of} that are better by more than chance explains (the 95 % interval of the gain lies above zero): "
        "{names}."
    ),
    "compare.none_better": (
        "For no fusion of {of} does the 95 % interval of the gain lie above zero: "
        "here fusing does not pay, or not measurably."
    ),
    "compare.worse": ("Worse by more than chance explains: {names}."),
    "compare.accuracy": "Accuracy against cost",
    "compare.accuracy.reading": (
        "Higher is more often right, further right costs more; where two upright lines overlap in height, the "
        "difference may be luck. Circles are single backbones, squares fusions; what costs the same stands side by "
        "side. Dashed: the best single backbone."
    ),
    "compare.accuracy.about": (
        "{count} points with their 95 % intervals; across: {what}. All figures stand in the table below."
    ),
    "compare.top1": "right answers (top-1)",
    "compare.level": "best single: {name}",
    "compare.no_cost": "This cost has not been measured.",
    "compare.table": "All figures",
    "compare.table.reading": (
        "The best of each quality is bold; small numbers are 95 % intervals: in 95 of 100 such measurements the "
        "truth lies within."
    ),
    "compare.taught": "taught by {names}",
    "compare.reliability": "Can its confidence be trusted?",
    "compare.reliability.reading": (
        "Answers are sorted by how sure they were; on the dashed line the surest are right exactly as often as "
        "they say. Below it: too sure of itself. Larger circles stand for more pictures."
    ),
    "compare.confidence": "how sure it was",
    "compare.right_share": "how often it was right",
    "calibration.right": "{name} is as sure as it is right, to within {points} points on average.",
    "calibration.over": "{name} is too sure of itself, by {points} points on average.",
    "calibration.under": "{name} is right more often than it thinks, by {points} points on average.",
    "compare.ece": "Expected calibration error: {ece} %.",
    "compare.pairs": "Who errs together?",
    "compare.pairs.reading": "Fusing helps where two err on different pictures: look for pale fields off the diagonal.",
    "cost": "Cost",
    "cost.multiply_adds": "multiply-adds a picture",
    "cost.ms32": "ms a picture, 32 at a time",
    "cost.ms1": "ms a picture, one at a time",
    "fused_of": "Fusions of",
    "members.fusions": "all backbones",
    "members.fusions_suggested": "those that the page opens with",
    "calibration_of": "Confidence of",
    "pairs_by": "Measured by",
    "pairs.both_wrong": "both wrong",
    "pairs.error_correlation": "correlation of errors",
    "pairs.differ": "different answers",
    "pairs.both_wrong.words": "Most often both wrong: {most}; least often: {least}.",
    "pairs.error_correlation.words": (
        "Errors most alike (1: the same pictures, 0: as by chance): {most}; least alike: {least}."
    ),
    "pairs.differ.words": "Most often of different opinion: {most}; least often: {least}.",
    "column.name": "Name",
    "column.name.about": "Backbone or fusion",
    "column.top1": "Right",
    "column.top1.about": "Share of pictures whose first answer is right (top-1), with its 95 % interval",
    "column.gain": "Gain",
    "column.gain.about": "Points above the best single backbone, with the 95 % interval",
    "column.nll": "NLL",
    "column.nll.about": "Negative log-likelihood: how surprised it was by the truth; less is better",
    "column.ece": "ECE",
    "column.ece.about": "Expected calibration error: how far confidence is from accuracy; less is better",
    "column.parameters": "Weights",
    "column.parameters.about": "Numbers that were learned",
    "column.multiply_adds": "Multiply-adds",
    "column.multiply_adds.about": "Of one picture",
    "column.ms32": "ms (32)",
    "column.ms32.about": "Milliseconds a picture, 32 at a time",
    "column.ms1": "ms (1)",
    "column.ms1.about": "Milliseconds for one picture alone",
    "tab.attention": "Attention",
    "attention.backbone": "Backbone",
    "attention.beside": "Beside it",
    "attention.alone": "nothing",
    "attention.nothing": "Analyse a picture first; then every patch of it can be asked where it looks.",
    "attention.none": (
        "None of these backbones can be asked patch by patch; tick a plain vision transformer (vit, deit, hybrid)."
    ),
    "attention.refused": "{name} is not here: {reason}.",
    "att.how": (
        "A transformer cuts the picture into patches. Point at one (or walk with the arrow keys): the "
        "bright patches are those it takes information from in this layer and head. Click to pin up to "
        "three."
    ),
    "att.layer": "Layer",
    "att.head": "Head",
    "att.mean": "mean",
    "att.max": "max",
    "att.min": "min",
    "att.scale": "Brightness",
    "att.scale.map": "per map",
    "att.scale.layer": "per layer",
    "att.scale.global": "all alike",
    "att.unpin": "Unpin all",
    "att.keep": "Keep for comparison",
    "att.release": "Let go",
    "att.keep.info": "Leaves this picture here, so that the next one stands beside it under the same pointer",
    "att.kept": "{name} (kept)",
    "att.legend": "Share of its information that the token takes from a patch; black is none.",
    "att.token": "{name} token",
    "att.patch": "the patch in row {row}, column {column}",
    "att.prefix.class": "class",
    "att.prefix.distillation": "distillation",
    "att.prefix.register": "register",
    "att.canvas": (
        "Patches of the picture as {name} sees it; arrow keys walk, Enter pins, Home goes to the class "
        "token, Escape unpins"
    ),
    "att.size": "{layers} layers, {heads} heads, {patches} patches",
    "att.says": "{token} looks most at {patch} ({share}); {rest} goes to the tokens beside the picture.",
    "att.says.patches": "{token} looks most at {patch} ({share}).",
    "att.received": "takes {share} of the attention",
    "att.overview": "Every layer and head",
    "att.overview.reading": (
        "The same token in all layers (from the first, top) and heads. Click to look closer; "
        "double-click, or the key i, shows one alone."
    ),
    "att.layer.short": "Layer {layer}",
    "att.thumb": "layer {layer}, head {head}",
    "att.film": "How the answer's view grows",
    "att.film.reading": (
        "Rollout through the layers so far: where the information can have come from that the answer is "
        "read from. Beside it, what the network would answer if it ended here."
    ),
    "att.play": "Play",
    "att.pause": "Pause",
    "att.film.layer": "Layer of the film",
    "att.film.is": "up to layer {layer} of {layers}",
    "att.depth": "The answer, layer by layer",
    "att.depth.reading": (
        "What the last layer's head would say of each layer's tokens. It was trained for the last layer "
        "only: early rows are guesses."
    ),
    "att.first": "First",
    "att.second": "Second",
    "att.third": "Third",
    "att.arithmetic": "The arithmetic",
    "att.arithmetic.reading": (
        "Each token asks with a query q; each patch offers a key k and a value v. How well they fit is "
        "q·k/√d; the softmax turns the fits into shares that sum to 1; each share of a value is taken in."
    ),
    "att.arithmetic.of": "What {token} takes in, layer {layer}, head {head} of {name}",
    "att.arithmetic.head": (
        "Choose one head (a number) to see its numbers: a mean over heads has no query of its own."
    ),
    "att.arithmetic.coming": "The numbers of this layer are on their way.",
    "att.column.patch": "Patch",
    "att.column.patch.info": "The five patches with the largest shares",
    "att.column.score": "q·k/√d",
    "att.column.score.info": (
        "How well the patch's key fits the query, with the position bias where the architecture has one"
    ),
    "att.column.weight": "softmax",
    "att.column.weight.info": "exp(score) divided by the sum of exp over all tokens",
    "att.column.value": "‖v‖",
    "att.column.value.info": "Length of what the patch offers",
    "att.column.product": "softmax · ‖v‖",
    "att.column.product.info": "Length of what is taken in from it",
    "att.others": "all other tokens",
    "att.sum": "sum",
    "tab.whatif": "What if",
    "whatif.nothing": "Analyse a picture first; then it can be changed here to see what its answer hangs on.",
    "whatif.hide": "Hide parts",
    "whatif.hide.reading": (
        "Grey out a part and see what the backbones say without it. A grey patch is itself something new to them: they "
        "never saw one while learning, so a fall shows what mattered only if hiding as much elsewhere does less."
    ),
    "whatif.hide.none": (
        "Nothing is hidden yet. Click patches of the picture, paint over them, or let a map choose; the answers before "
        "and after then stand here."
    ),
    "whatif.grid": "Patches of",
    "whatif.grid.info": "A backbone's own patches, or squares.",
    "whatif.plain": "{rows} × {columns} squares",
    "whatif.patches": "{name}, {rows} × {columns}",
    "whatif.tool": "Hide by",
    "whatif.tool.patch": "patches",
    "whatif.tool.brush": "brush",
    "whatif.tool.eraser": "eraser",
    "whatif.brush": "Brush",
    "whatif.brush.small": "small",
    "whatif.brush.medium": "medium",
    "whatif.brush.large": "large",
    "whatif.reset": "Show everything again",
    "whatif.take": "Analyse this picture",
    "whatif.take.nothing": "Nothing is hidden, so there is no changed picture to analyse; hide a part first.",
    "whatif.by": "Chosen by the fused map",
    "whatif.by.info": "Which map says what is important.",
    "whatif.by.none": "No fused map: only chance can choose",
    "whatif.part": "Share of the patches, in %",
    "whatif.rank.most": "Hide the most important",
    "whatif.rank.least": "Hide the least important",
    "whatif.rank.random": "Hide as many by chance",
    "whatif.rank.reading": (
        "A test of the map: if it is right, hiding what it calls important lowers the probability more than chance "
        "does, and hiding the unimportant less. Of a map with a sign, the least important speaks against the class."
    ),
    "whatif.shown": "Fused map of the changed picture",
    "whatif.shown.none": "none",
    "whatif.canvas": (
        "The picture with its patches; arrow keys walk from patch to patch, Enter hides a patch or shows it again"
    ),
    "whatif.patch.hidden": "Row {row}, column {column}: hidden",
    "whatif.patch.seen": "Row {row}, column {column}: visible",
    "whatif.share": "{share} of the picture is grey.",
    "whatif.same": "The answer is still {label}: {before} → {after}.",
    "whatif.changed": "The answer changed: {before} → {after}.",
    "whatif.still": "still {label}",
    "whatif.bars": "Thin bar: before. Thick bar: after.",
    "whatif.map.before": "{method}, before",
    "whatif.map.after": "{method}, after",
    "whatif.map.about": "Both maps are for {label} and share one scale.",
    "whatif.attack": "Mislead it",
    "whatif.attack.reading": (
        "Change every pixel by a step too small to notice, in the worst direction. It matters because a classifier "
        "can be sure and wrong on a picture that no person would mistake."
    ),
    "whatif.attack.none": "No attack yet: choose whom to mislead and how much may change, then press the button.",
    "whatif.attack.go": "Attack",
    "whatif.attack.take": "Analyse the attacked picture",
    "whatif.attack.jumps": (
        "A vote jumps from class to class, so no gradient shows how to mislead it; the mean of its backbones can be "
        "attacked instead, and what the vote then says is shown."
    ),
    "whatif.subject": "Attacked",
    "whatif.subject.info": "The attacker knows this one; the others only see the result.",
    "whatif.method": "Attack",
    "whatif.method.info": "FGSM takes one step along the gradient, PGD many small ones.",
    "whatif.epsilon": "Largest change (ε, of 255)",
    "whatif.epsilon.info": "No colour value changes by more than this.",
    "whatif.steps": "Steps of PGD",
    "whatif.steps.info": "More steps find worse pictures and take longer.",
    "whatif.original": "Original",
    "whatif.perturbation": "Change, magnified {times} times; grey is none",
    "whatif.attacked": "Attacked: no value differs by more than {largest}",
    "whatif.fused.of": "the fused model",
    "whatif.made.for": "Made to mislead {name}: {method}, ε = {epsilon} of 255.",
    "whatif.verdict.nobody": "Nobody changed their answer.",
    "whatif.verdict.resists": "The fusion resists: {names} changed their answer, the fused answer did not.",
    "whatif.verdict.falls": "The fusion falls too: {names} changed their answer, and so did the fused model.",
    "whatif.verdict.only": "Only the fused answer changed: its backbones kept theirs, but are less sure of them.",
    "whatif.verdict.alone.falls": "{name} changed its answer.",
    "whatif.verdict.alone.stands": "{name} kept its answer.",
    "whatif.classes": "Class against class",
    "whatif.classes.reading": (
        "Ask for two classes why each of them, and why the one rather than the other. Rollout cannot tell them apart: "
        "it follows attention, which is there before any class is named. Gradients are taken of a class."
    ),
    "whatif.classes.none": "Nothing compared yet: choose two classes, then press the button.",
    "whatif.classes.go": "Compare the classes",
    "whatif.first": "Class A",
    "whatif.second": "Class B",
    "whatif.with": "With",
    "whatif.backbone": "Beside the fused model",
    "whatif.column.rollout": "Rollout, for A and for B",
    "whatif.column.for": "{method}: {label}",
    "whatif.column.difference": "The difference: {first} rather than {second}",
    "whatif.alike": "likeness of the maps for A and B: {value}",
    "whatif.alike.about": (
        "Likeness is the correlation of both maps: 1 is the same map, 0 nothing in common, −1 the opposite. The maps "
        "for A and B share one scale; the difference has its own."
    ),
    "whatif.knows": "{method} knows about the class: its maps differ. Rollout does not: it is one map for both.",
    "whatif.knows.same": "Here {method} hardly tells the classes apart; rollout cannot: it is one map for both.",
    "whatif.knows.none": "{method} has no map here; choose another method.",
    "whatif.working.attack": "Looking for a picture that misleads",
    "whatif.working.classes": "Explaining both classes",
    "whatif.cancelled": "Cancelled.",
}
