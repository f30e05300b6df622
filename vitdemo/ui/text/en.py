"""English. Titles and sentences of fusions and explanations stand in their registries."""

TEXT = {
    "tagline": "See what vision transformers look at, and what fusing them changes",
    "copy_link": "Copy link",
    "copied": "Copied",
    "copied_settings": "Copied, without your picture",
    "picture": "Picture",
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
    "backbones.info": "Each gives an answer of its own.",
    "backbone.weights": "{millions} M weights",
    "backbone.download": "fetches {megabytes} MB once",
    "backbone.command": "needs {command}",
    "fusion": "Fusion",
    "fusion.info": "How several answers become one.",
    "methods": "Maps",
    "methods.info": "What to draw over the picture.",
    "more": "Settings of the maps",
    "trust": "Judge the maps",
    "still": "Below is still the analysis of {name}.",
    "still.unnamed": "the picture before",
    "maps.coming": "The maps of this picture are being made.",
    "maps.missing": "The maps of this picture were not made. Analyse makes them.",
    "broken": "Left out: {reason}",
    "judge": "Judge the maps",
    "judge_about": "Judge the maps (about {seconds} s)",
    "judge.stop": "Stop judging",
    "judge.stopped": "Judging was stopped; the maps stay as they are.",
    "judge.offer": "How far can these maps be believed? Judging them takes a while.",
    "judge.reading": (
        "Better than chance: hiding what a map calls important lowers the probability sooner than random maps do."
    ),
    "unit.own": "Each map has its own scale.",
    "elsewhere.only": "They know these {count} classes and nothing else.",
    "elsewhere.says": "ImageNet says: {label} {percent}",
    "elsewhere.go": "Ask ImageNet about this picture",
    "link_own": "The link was made of somebody's own picture, which is not in it: here is a sample instead.",
    "trust.info": "Then hides parts in each map's order, beside random maps: about 200 passes a backbone.",
    "trust.better": "better than chance",
    "trust.like": "like chance",
    "trust.worse": "worse than chance",
    "trust.legend": (
        "To the right more cells of the picture are hidden (dashed) or shown on a blurred one (solid), the map's "
        "highest first; upwards is the probability. Good maps fall early and rise early. Grey: random maps. "
        "Better than chance: the score is above that of every random map, and of each turned round."
    ),
    "trust.about": "Area when hiding {deletion}, when showing {insertion}",
    "trust.deletion": "Area when hiding (low is good)",
    "trust.insertion": "Area when showing (high is good)",
    "trust.score": "Score: showing minus hiding",
    "trust.chance": "Random maps score",
    "trust.margin": "All of them lie within",
    "trust.centre": "A blob in the middle scores",
    "trust.energy": "Share of the map on the object",
    "trust.of": "{share} % (an even map: {even} %)",
    "trust.pointing": "Its peak lies on the object",
    "yes": "yes",
    "no": "no",
    "enlarge": "Enlarge, with all figures",
    "loupe.close": "Close",
    "loupe.download": "This map (PNG)",
    "loupe.figures": "Raw figures",
    "scrutiny": "Test this map further",
    "scrutiny.info": "Makes the map again with forgotten weights and of pictures that hardly differ.",
    "scrutiny.head": "Like the map after the last layer forgot",
    "scrutiny.head.reading": "1 is the same map: then it does not depend on the class.",
    "scrutiny.all": "Like the map after every layer forgot",
    "scrutiny.all.reading": "Near 0 is good. Near 1 the map shows the picture, and nothing that was learned.",
    "scrutiny.infidelity": "Error in foretelling what hiding does",
    "scrutiny.infidelity.reading": (
        "A random half of the picture is hidden, again and again: lower is better (infidelity). A random map gets "
        "{random}, a blob in the middle {centre}. It judges hard what claims no more than where to look."
    ),
    "scrutiny.sensitivity": "Change when the picture hardly changes",
    "scrutiny.sensitivity.reading": (
        "0 is none, 1 as much as the map itself: lower is steadier (sensitivity). A map that never changes is steady, "
        "too, and says nothing."
    ),
    "scrutiny.none": "no map then",
    "raw.grid": "grid",
    "raw.lowest": "lowest",
    "raw.highest": "highest",
    "raw.sum": "sum",
    "raw.members": "backbones that have a map",
    "raw.of": "backbones in all",
    "raw.picture": "probability of the picture",
    "raw.baseline": "probability of the baseline",
    "raw.nothing": "probability with every part hidden",
    "raw.error": "error: sum against difference",
    "raw.relative_error": "error as a share of the difference",
    "raw.steps": "steps",
    "raw.samples": "samples",
    "raw.layer": "layer",
    "raw.logit_difference": "difference of logits, picture against baseline",
    "raw.logit_sum": "sum in logits",
    "raw.logit_error": "error as a share of the difference of logits",
    "raw.patches": "parts hidden, one after another",
    "raw.regions": "regions",
    "raw.coalitions": "sets of regions tried",
    "raw.fit": "share explained by the linear model (R²)",
    "raw.overlap": "share that the backbones' maps have in common",
    "class.daisy": "daisy",
    "class.dandelion": "dandelion",
    "class.roses": "roses",
    "class.sunflowers": "sunflowers",
    "class.tulips": "tulips",
    "against": "Compared with",
    "against.info": "By how much it is more probable than a second class.",
    "against.none": "nothing",
    "target.second": "second choice",
    "versus": "{target} against {against}",
    "fusion.fitted": "{title} (fitted on pictures set aside)",
    "options.attention": "Attention",
    "options.gradient": "Gradients",
    "options.perturbation": "Hiding parts",
    "options.cam": "Last feature maps",
    "options.shared": "Several kinds",
    "option.fused_map": "Maps of the fusion",
    "option.fused_map.info": "By the method itself, or made of the backbones' maps.",
    "fused_map.direct": "the method itself",
    "fused_map.mean": "weighted mean",
    "fused_map.consensus": "consensus",
    "fused_map.intersection": "intersection",
    "fused_map.union": "union",
    "fused_map.disagreement": "disagreement",
    "option.head_fusion": "Attention heads",
    "option.head_fusion.info": "Each layer looks in several ways (heads); this makes one of them.",
    "option.residual": "Rollout: weight of the shortcut",
    "option.residual.info": "How much of a patch stays itself from layer to layer; the paper says half.",
    "option.discard": "Rollout: share of weak attention to ignore",
    "option.discard.info": "0 follows the paper; more makes the map sparser.",
    "option.start": "Rollout: first layer",
    "option.start.info": "Layers before it are left out; counted from 0.",
    "option.layer": "Raw attention: layer",
    "option.layer.info": "Counted from 0; -1 is the last.",
    "option.head": "Raw attention: head",
    "option.head.info": "Counted from 0; -1 makes one of them all.",
    "option.query": "Raw attention: patch that looks",
    "option.query.info": "Row by row from 0; -1 is what the answer is read from.",
    "option.baseline": "Blank picture",
    "option.baseline.info": "What gradients fade in from, and what hidden parts look like.",
    "baseline.average": "all of them, averaged",
    "option.steps": "Integrated gradients: steps",
    "option.steps.info": "To begin with; more where the map does not add up, at most 256.",
    "option.smoothing": "Smoothing",
    "option.smoothing.info": "Makes one map of those of many noisy copies of the picture.",
    "smoothing.none": "none",
    "smoothing.smoothgrad": "mean (SmoothGrad)",
    "smoothing.smoothgrad_sq": "mean of squares",
    "smoothing.vargrad": "variance (VarGrad)",
    "option.samples": "Noisy copies, or random points",
    "option.samples.info": "More make a calmer map and take longer; read where there is smoothing or chance.",
    "option.noise": "Strength of the noise",
    "option.noise.info": "Standard deviation, where 1 is the step from black to white.",
    "option.patches": "Occlusion: patches along the long side",
    "option.patches.info": "More patches show finer detail and take longer.",
    "option.window": "Occlusion: side of the hidden square",
    "option.window.info": "In patches; above 1 it slides patch by patch.",
    "option.regions": "Regions",
    "option.regions.info": "What is hidden as one: places of similar colour, or squares.",
    "regions.superpixels": "similar colour",
    "regions.patches": "squares",
    "option.segments": "Number of regions",
    "option.segments.info": "At most; more show finer detail and take longer.",
    "option.coalitions": "KernelSHAP, LIME: pictures",
    "option.coalitions.info": "With some regions hidden; more are more exact and take longer.",
    "hint.more": "Formula and source",
    "head_fusion.mean": "mean",
    "head_fusion.max": "max",
    "head_fusion.min": "min",
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
    "report": "Report (HTML)",
    "report_image": "Report (PNG)",
    "script": "Copy as Python",
    "script.lines": "These lines make the analysis again",
    "report.title": "vitdemo: {label}",
    "report.picture": "The picture that was analysed: {name}",
    "report.unnamed": "one without a name",
    "report.settings": "Settings",
    "report.versions": "Made with",
    "report.date": "Date",
    "report.software": "Software",
    "report.device": "Computed on",
    "report.licences": "Licences of the weights",
    "fused": "Fused",
    "weight": "counts {weight} %",
    "weight.none": "not counted",
    "agree.one": "One backbone, nothing to fuse.",
    "agree.all": "All {count} backbones say so.",
    "agree.not": "{names} {verb}: {label}",
    "agree.disagrees": "says otherwise",
    "agree.disagree": "say otherwise",
    "agreement": "probabilities {percent} % alike",
    "agreement.more": (
        "How alike the backbones' probabilities are, whoever says what: 1 minus their Jensen-Shannon divergence, "
        "100 % where all give the same numbers."
    ),
    "ran": "{fusion} of {count} · {device} · {seconds} s",
    "ran.sample": "sample",
    "ran.prepared": "{fusion} of {count} · prepared beforehand",
    "ran.kept": "{fusion} of {count} · computed before, kept",
    "not_offered": "No map: {reason}",
    "not_seen": "Hatched: cut away before the backbone saw it, so the map says nothing of that part.",
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
    "working.scrutinising": "Testing {method}: {subject}",
    "working.explained": "The maps are there; checking how far to believe them",
    "working.judging": "Checking how far to believe {method}: {subject}",
    "working.explaining": "{method}: {subject}",
    "working.queued": "In line",
    "stale": "These are the results of the settings before. To bring them up to date, press: {button}.",
    "cancelled": "Cancelled.",
    "no_picture": "No picture yet: drop one above, paste it, take one, or choose a sample.",
    "no_methods": "No maps chosen: tick one or more under Maps.",
    "unexpected": "Something went wrong that should not have. The server goes on; what happened is in its log.",
    "link_ignored": "A part of the link was not understood and left out: {what}.",
    "footnote": (
        "A map shows what a method computes, not what a network thinks. Red speaks for the class, blue against it; "
        "unsigned maps run from dark to bright. Maps of single pixels are smoothed a little to be seen; raw values are "
        "in the downloads. Numbers at a colour bar are those of one cell of the map: the finer its grid, the smaller."
    ),
    "other_language": "中文",
    "look": "Dark",
    "projector": "Projector",
    "tab.analyse": "Analyse",
    "tab.compare": "Compare",
    "tab.learn": "Learn",
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
    "compare.cards": "The networks",
    "compare.cards.reading": "What each one learned from, whose weights it began with, and where it errs.",
    "card.pictures": "pictures",
    "card.began": "began with",
    "card.taught": "taught by",
    "card.licence": "licence",
    "card.paper": "paper",
    "card.right": "right",
    "card.right.both": "{test} % of the test pictures, {validation} % of those on which it was chosen",
    "card.classes": "right of each class",
    "card.confusions": "errs most",
    "card.confusion": "{label} taken for {said}: {count}",
    "card.concentrated": "attention on one patch",
    "card.concentrated.reading": (
        "So many tokens of each layer, from the first to the last, give more than nine tenths of their attention to "
        "a single other one. Where that is many, the picture of it shows where the network keeps notes, not what it "
        "looks at."
    ),
    "card.command": "made by",
    "card.history": "but",
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
        "None of these backbones can be asked patch by patch; tick a vision transformer (vit, deit, swin, levit, …)."
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
    "att.patch.of": "the patch in row {row}, column {column} of {rows} × {columns}",
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
    "att.says.nothing": "{token} asks nothing in this layer.",
    "att.says.window": (
        "Here each patch looks only inside its window, at the {count} outlined patches: nothing else can light up."
    ),
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
    "att.film.note": "Taken for granted: {note}.",
    "att.depth": "The answer, layer by layer",
    "att.depth.reading": (
        "What the last layer's head would say of each layer's tokens. It was trained for the last layer "
        "only: early rows are guesses."
    ),
    "att.depth.none": (
        "What the network would answer if it ended earlier is not shown: the layers of this network hold other kinds "
        "of tokens than its last one, and the last layer's head can read no others."
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
    "att.arithmetic.failed": "The numbers of this layer did not come; point elsewhere to ask for them again.",
    "att.arithmetic.old": "The numbers of this layer were not fetched while its picture was the one on the page.",
    "att.arithmetic.unvalued": (
        "This layer mixes its heads once more before the values are taken in, so no length of a value belongs to one "
        "head alone."
    ),
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
    "study": "Which maps can be believed",
    "study.reading": (
        "Pictures were drawn with a known flower in a known place: a map that explains the answer should lie "
        "on it. Darker is better; maps that know nothing stand below."
    ),
    "study.absent": "Nothing was measured for this collection; python -m vitdemo evaluate --explain does it.",
    "study.figure": "Figure",
    "study.nothing": "This figure was not measured.",
    "study.not_measured": "not measured",
    "study.interval": "95 % interval {low} to {high}",
    "study.each": "backbones, mean",
    "study.fused": "fused",
    "study.of": (
        "{one} drawn pictures with one kind of flower, {two} with two, {photographs} photographs; slow "
        "methods on fewer."
    ),
    "study.floor.random": "random map",
    "study.floor.centre": "blob in the middle",
    "study.two": "Two flowers",
    "study.two.about": (
        "Two flowers in a picture, one named: how often the strongest point of the map lies on the named "
        "one. A method that does not know the class finds it half the time at best."
    ),
    "study.pointing": "Pointing",
    "study.pointing.about": "One kind of flower: how often the strongest point of the map lies on it.",
    "study.energy": "Energy",
    "study.energy.about": "One kind of flower: share of the map that lies on it.",
    "study.insertion": "Insertion",
    "study.insertion.about": (
        "The most important parts are shown first: how quickly the class becomes probable. More is better."
    ),
    "study.deletion": "Deletion",
    "study.deletion.about": (
        "The most important parts are hidden first: how probable the class stays. Less is better."
    ),
    "study.random_head": "Head randomised",
    "study.random_head.about": (
        "Rank correlation with the map of the same network with a random last layer. Near 1 the map does not "
        "depend on what was learned last."
    ),
    "study.random_all": "All randomised",
    "study.random_all.about": (
        "Rank correlation with the map of a network whose weights are all random. Far from 0 the map shows "
        "the picture and not the network."
    ),
    "study.milliseconds": "Milliseconds",
    "study.milliseconds.about": "To make one map, beyond the prediction.",
}
