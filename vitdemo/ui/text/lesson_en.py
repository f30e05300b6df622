"""The lesson and the glossary in English: by step, by term, and the words around them.

A step has a title, a text of 60 to 110 words for a pupil of sixteen, `look` (the one thing to look at on the page),
`drawing` (what the step's own drawing shows), `formula` (the words under the formula), at some steps a question,
and `source` (of the formula) where that is no paper.
"""

STEPS = {
    "picture": {
        "title": "A picture is a table of numbers",
        "text": (
            "You see a flower. A computer sees a table: for every tiny square of the picture, called a pixel, three "
            "numbers that say how much red, green and blue there is, each from 0 to 255. Nothing in the table says "
            "“petal” or “leaf”. Everything that a network will ever know about your picture has to be computed from "
            "these numbers. Before it starts, the picture is shrunk and its middle is cut out, so that every picture "
            "has the same size: what was cut away, the network never sees."
        ),
        "look": "Drop a picture of your own here, or choose one of the samples. The whole lesson then uses it.",
        "drawing": (
            "Your picture, and the numbers of the 5 × 5 pixels in the frame: red, green and blue. Point at another "
            "place, or walk there with the arrow keys."
        ),
        "formula": "H rows, W columns and 3 colours. Networks usually take the numbers as 0 to 1, shifted and scaled.",
        "source": "The RGB picture, 8 bits for each colour.",
        "question": "A picture has 128 × 128 pixels. How many numbers is that?",
        "answer": "128 × 128 × 3 = 49,152: three for every pixel.",
    },
    "patches": {
        "title": "The picture is cut into patches",
        "text": (
            "A transformer was invented for sentences, and a sentence is a row of words. What are the words of a "
            "picture? Single pixels would be far too many: every word is compared with every other, so twice as many "
            "words mean four times the work. So the picture is cut like a cake into equal squares, the patches, and "
            "each patch becomes one word. Small patches show fine detail and cost much; large ones are cheap and "
            "coarse. A patch knows nothing yet of its neighbours, not even where it lay."
        ),
        "look": "On your picture you see the grid that the network really uses. Count the patches in one row.",
        "drawing": "Your picture in patches. Move the slider: how many patches, and how many comparisons between them?",
        "formula": (
            "N patches of P × P pixels, each a list of P·P·3 numbers. All pairs are compared: N² of them in every "
            "layer and head."
        ),
        "question": "Patches of half the side: how many times as many comparisons?",
        "answer": "Four times as many patches, and so sixteen times as many comparisons.",
    },
    "tokens": {
        "title": "Tokens, and where they lay",
        "text": (
            "Each patch is turned into a list of numbers, its token: 192 of them in our small network. To a "
            "transformer its tokens are a heap, not a row. Shuffle them and it computes the very same, as if you read "
            "a text from a bag of words. So every token gets a position added: learned numbers that say “I come from "
            "the second row, third column”. Many networks add one token that belongs to no patch, the class token. It "
            "starts the same for every picture, collects what it needs, and in the end the answer is read from it."
        ),
        "look": "Beside the picture stands the class token. Point at it: the bright patches are those it takes from.",
        "drawing": "The tokens in a row, the class token first. Shuffle them: only numbers tell where each belongs.",
        "formula": (
            "E turns a patch into a token and is learned, like the positions. z₀ is what enters the first layer: "
            "1 + N tokens."
        ),
    },
    "qkv": {
        "title": "Query, key and value",
        "text": (
            "Now the tokens talk to each other. Think of a library. Each token writes a question on a slip: its "
            "query, q. Each token also carries a label that says what it has to offer: its key, k. And it holds the "
            "content itself: its value, v. All three are lists of numbers, computed from the token by tables that "
            "were learned. How well does a key fit a query? Multiply them number by number and add up. A large sum "
            "means “that is what I was looking for”; a sum below zero means “not that”."
        ),
        "look": "This table holds the real numbers of your picture. The column q·k/√d says how well each key fits.",
        "drawing": (
            "A toy, computed from your picture: q and k are simply the mean red, green and blue of a patch, counted "
            "from the average of the picture. Point at a patch to ask with its query."
        ),
        "formula": (
            "d is how many numbers q and k have. Dividing by √d keeps the sums from growing with the length of the "
            "lists."
        ),
        "question": "q = (1, 2), k = (3, −1). What is q·k?",
        "answer": "1·3 + 2·(−1) = 1. The key fits, but only a little.",
    },
    "head": {
        "title": "One head: from scores to shares",
        "text": (
            "The scores of the last step can be anything, such as 2.1 or −0.7. To share out attention we need parts "
            "of a whole. The softmax does this: it raises the number e to each score, which makes everything "
            "positive, then divides by the sum. Now all parts add up to 1, and high scores get far more than low "
            "ones. Each token takes in that mixture: 60 % of this value, 5 % of that one. Queries, keys, softmax and "
            "mixture together are called a head. The bright patches on a map of attention are simply large shares."
        ),
        "look": "One patch is pinned and one head chosen. Point at other patches: each one distributes 100 %.",
        "drawing": (
            "The same toy head for all patches: bright ones are like the framed patch in colour. The table is the "
            "softmax over four of them, to check with a calculator. Point at another patch."
        ),
        "formula": "The shares a of one token sum to 1. What it takes in is the mixture of values v in these shares.",
        "question": "Two scores are equal, a third is much lower. What are the shares, roughly?",
        "answer": "½, ½ and almost 0.",
    },
    "heads": {
        "title": "Many heads look for many things",
        "text": (
            "One head can ask only one kind of question at a time. So every layer has several that work side by side, "
            "each with its own learned tables: one may look for the same colour, another at close neighbours, a third "
            "at edges. Nobody told them what to look for; it came out of training. Often a head is hard to name, and "
            "some do almost nothing. What all heads found is laid side by side and mixed into the token. When you see "
            "“mean over heads”, remember that a mean can hide opposites."
        ),
        "look": "Every small map is one head in one layer, for the same token. Which two differ most? Click them.",
        "drawing": (
            "Three toy heads, made by hand, look from the framed patch: for its colour, near by, and for patches rich "
            "in contrast. The fourth is their mean. Point at another patch."
        ),
        "formula": "Each head has tables W of its own; W_O mixes what they found into one token.",
    },
    "layers": {
        "title": "Layer upon layer",
        "text": (
            "A layer has two parts. In the first, attention, tokens fetch from each other; in the second, a small "
            "network, each thinks for itself. Neither replaces the token: what they find is added to it. This is the "
            "residual path, like notes added to a page that is never wiped. Then comes the next layer, which works "
            "on tokens that know a little more. After the first layer a token may know its surroundings; after six, "
            "“this is a petal of something yellow”. From the last class token a final table reads one score per class."
        ),
        "look": "Read the table downwards: what would the network answer if it ended after this layer?",
        "drawing": "The way of a token through one layer. Step by step, things are added; nothing is wiped out.",
        "formula": "MSA: attention with many heads. MLP: the small network. LN: keeps numbers in a usual range.",
        "question": "A layer adds only zeros. What comes out of it?",
        "answer": "The same tokens that went in: the residual path carries them past it.",
    },
    "rollout": {
        "title": "Rollout: attention through all layers",
        "text": (
            "A map of the last layer alone misleads: its tokens are mixtures already. The token at the left edge may "
            "by now carry news from the right. Rollout takes that into account. It treats every layer as a table that "
            "says how much of each token came from which; the residual path counts as looking at oneself. Then it "
            "multiplies the tables of all layers, like changing trains: from the answer to a token, from there to "
            "another, and at last to a patch. The result shows along which ways information can have travelled."
        ),
        "look": "Press Play and watch the view of the class token grow from layer to layer.",
        "drawing": (
            "The toy heads of two steps ago, layer upon layer: from where can the framed patch have got news after so "
            "many layers? Move the slider."
        ),
        "formula": "Ã is the mean over heads, half of it replaced by the residual path (I). The product is the map.",
    },
    "proof": {
        "title": "Why a map of attention is no proof",
        "text": (
            "It is tempting to say: bright, so that is why. Careful. Attention says how much was taken, not what it "
            "was used for. A large share of a value that says nothing changes nothing; a small share of a strong "
            "value may decide. Attention also does not know whether something spoke for the class or against it. And "
            "rollout looks the same whichever class you ask about, though reasons for “rose” and for “daisy” cannot "
            "be the same. A map is a clue. Clues are tested: hide the bright place and see whether the answer changes."
        ),
        "look": "Choose another class here: the rollout map stays as it is, maps from gradients change.",
        "drawing": (
            "Made-up numbers. Patch A gets most of the attention, but its value says little about the class. Move the "
            "slider: from which share of A on does A count more than B?"
        ),
        "formula": "The share a counts only together with the value v, and the direction w that speaks for the class.",
        "question": "A patch is dark on the rollout map. Can it still have decided the answer?",
        "answer": "Yes: a small share of a strong value can be enough. Only a test, such as hiding it, can tell.",
    },
    "gradients": {
        "title": "Gradients: what if a pixel changed?",
        "text": (
            "A gradient answers another question: if this pixel became a little brighter, how much would the "
            "probability of the class change? It can be computed for all pixels at once, by going backwards through "
            "the network, and it knows the class you ask about. But a network that is sure hardly reacts to small "
            "changes, even at the place that convinced it. Integrated gradients help: the picture fades in from "
            "black, and all small changes on the way are added up. Their sum has to come close to the rise of the "
            "probability, and would equal it with endlessly many steps; how far it is off shows mistakes."
        ),
        "look": "“adds up to” stands below each of these maps: the check that nothing was lost on the way.",
        "drawing": (
            "A made-up network. Fade your picture in: the steep part of the curve is where the network makes up its "
            "mind; at the end the slope is small, though it is sure."
        ),
        "formula": "x′ is the blank picture. Added up over all pixels, IG gives F(x) − F(x′): this is completeness.",
        "question": "Why is the plain gradient often small where the network is surest?",
        "answer": "Near 100 % the curve is flat: a little more evidence changes almost nothing.",
    },
    "fusion": {
        "title": "Fusion: ask several, decide once",
        "text": (
            "Ask one friend and you may be unlucky; ask three and mistakes can cancel out, if they make different "
            "ones. Fusing networks works alike: each backbone gives a probability for every class, and the fusion "
            "makes one answer of them, in the simplest case the mean. Weights can give a better backbone more say. "
            "But three friends who learned from the same book share its errors, and a fusion of twins gains nothing. "
            "Whether it pays has to be measured on pictures that nobody learned from, and sometimes it does not."
        ),
        "look": "Every way of fusing side by side, for your picture. Do all of them give the same answer?",
        "drawing": "Three made-up backbones and two classes. Change the weight of C: when does the answer tip over?",
        "formula": "b counts the backbones, w are their weights. With equal weights this is the mean.",
        "question": "Three backbones are each right on 80 % of the pictures, and always err together. And their mean?",
        "answer": "80 % as well: where all are wrong, no mean can be right.",
    },
    "robustness": {
        "title": "How easily is it misled?",
        "text": (
            "Gradients can be turned into a weapon. They say in which direction each pixel has to change to make the "
            "network doubt; a tiny step everywhere in just that direction, far too small for your eye, can make a "
            "rose a tulip. This is called an adversarial attack, and epsilon says how large the step may be. It "
            "shows that a network does not see as you do. Several backbones that were fooled in different ways may "
            "hold out together. So do not only ask “what does it answer?” but also “what would change its mind?”"
        ),
        "look": "Choose whom to mislead and press the button. Who gives in first: one backbone, or all together?",
        "drawing": (
            "Your picture, a pattern of tiny changes magnified until you can see it, and both added. It is random "
            "here; an attack chooses each sign. From which size on do you notice it?"
        ),
        "formula": "sign is +1 or −1 for each number of the picture, L the loss: how wrong it is about class y.",
        "question": "Does a network that resists such an attack see as you do?",
        "answer": "Not for certain. It only holds out against this kind of change, up to this size.",
    },
}

GLOSSARY = {
    "attention": ("attention", "The step in which each token decides how much to take in from every other token."),
    "backbone": ("backbone", "A trained network that turns a picture into features and a first answer."),
    "baseline": ("baseline", "A picture without information, such as black, with which the real one is compared."),
    "calibration": ("calibration", "How well confidence fits reality: of answers given at 80 %, 80 of 100 are right."),
    "class_token": ("class token", "An extra token that belongs to no patch, and from which the answer is read."),
    "completeness": (
        "completeness",
        "The shares of all pixels add up to the change that is explained; with few steps only nearly.",
    ),
    "convolution": ("convolution", "The same small filter moved over the whole picture; what a ResNet is built of."),
    "distillation": ("distillation", "A small network learns to give the answers of a larger one, its teacher."),
    "ensemble": ("ensemble", "Several networks that are asked together."),
    "feature": ("feature", "A number inside the network that stands for something it found in the picture."),
    "fusion": ("fusion", "A rule that makes one answer of the answers of several networks."),
    "gradient": ("gradient", "How strongly the result changes when an input changes a little, for every input."),
    "head": ("head", "One of several attentions that work side by side in a layer, each with its own tables."),
    "heat_map": ("heat map", "Colours over a picture that show how much each place counts by some method."),
    "key": ("key", "What a token offers for comparison; queries of other tokens are matched with it."),
    "layer": ("layer", "One floor of a network: it takes in tokens or maps and gives improved ones to the next."),
    "logit": ("logit", "The raw score of a class before the softmax makes a probability of it."),
    "occlusion": ("occlusion", "Hiding one part of the picture after the other to see how much the answer suffers."),
    "overfitting": ("overfitting", "Learning the training pictures by heart instead of what they have in common."),
    "patch": ("patch", "A small square of the picture, which becomes one token."),
    "position": ("position embedding", "Learned numbers added to a token that say where its patch lay."),
    "pretraining": ("pre-training", "Learning on many other pictures first, before the task that counts."),
    "probability": ("probability", "A number from 0 to 1 for each class; over all classes they add up to 1."),
    "query": ("query", "What a token looks for; it is compared with the keys of all tokens."),
    "residual": ("residual path", "The way past a layer: what it finds is added to the token, not put in its place."),
    "rollout": ("rollout", "Attention multiplied through all layers, from the answer back to the patches."),
    "softmax": ("softmax", "Turns any scores into positive shares that add up to 1."),
    "temperature": ("temperature", "A number that scores are divided by: above 1 the answer gets less sure of itself."),
    "token": ("token", "A list of numbers that stands for a patch on its way through a transformer."),
    "transformer": ("transformer", "A network in which tokens exchange information by attention, layer upon layer."),
    "value": ("value", "What a token hands over to those that pay attention to it."),
}

WORDS = {
    "coming": "The lesson is opening.",
    "steps": "Steps of the lesson",
    "progress": "Step {step} of {steps}",
    "previous": "Previous",
    "next": "Next",
    "show": "Show me on the page",
    "look": "On the page",
    "formula": "The formula",
    "question": "A question",
    "answer": "Show the answer",
    "glossary": "Glossary",
    "glossary.reading": "Every word of the lesson and the page that needs a sentence.",
    "back": "Back to the lesson",
    "close": "Close this note",
    "waiting": "The page is still at work; the place is marked as soon as it is there.",
    "absent": "This place is not there now; perhaps no backbone is ticked that has it. The page says more.",
    "own": "Your picture",
    "sample": "A sample; yours as soon as you choose one",
}

UNLABELLED = {
    "title": "Learning without labels",
    "text": (
        "A network can learn from pictures that nobody has named. Three quarters of the patches are hidden, and it has "
        "to guess what they look like from the quarter that is left. To guess well it must find out that a petal goes "
        "on beside a petal, and where a stem is likely to run. Only afterwards is it told the names of the flowers. "
        "In this demo vit_mae began like that."
    ),
    "honest": (
        "Its guesses here are blurred: colours and strong edges run on into hidden patches, fine structure is lost, "
        "and far from any visible patch it knows little. Two things to bear in mind: it learned from photographs, and "
        "these are drawings; and it guesses only the pattern inside a patch, so that each patch's brightness and "
        "contrast were taken from the real picture, which makes the guesses look better than they are."
    ),
    "measured": (
        "After the names were learned too, vit_mae is right on {vit_mae} % of {pictures} test photographs; vit, the "
        "same network without this start and trained much longer with names, on {vit} %."
    ),
    "seen": "what it sees",
    "guessed": "what it guesses",
    "whole": "the picture",
    "alt": (
        "Six drawn pictures of flowers in three columns: with three quarters of the patches hidden in grey; with these "
        "patches guessed, in the right colours but blurred; and as they are."
    ),
}

DRAWING = {
    "about": "Picture; arrow keys move the frame",
    "pixels": "red, green, blue of each pixel; the middle one is framed",
    "patches": "Patches in a row",
    "count": "{n} × {n} = {patches} patches, {pairs} comparisons in each head",
    "shuffle": "Shuffle",
    "order": "Put in order",
    "class": "class",
    "token": "Patch",
    "key": "key k",
    "score": "q·k/√3",
    "power": "e^score",
    "share": "share",
    "sum": "sum",
    "query": "query q of the framed patch",
    "colour": "its colour",
    "near": "near by",
    "contrast": "contrast",
    "mean": "mean",
    "in": "token",
    "attention": "attention",
    "fetch": "fetches from others",
    "network": "small network",
    "thinks": "thinks alone",
    "out": "to the next layer",
    "residual": "residual path: kept as it is",
    "layers": "Layers",
    "after": "after {layers} of 6 layers",
    "share_of": "Share of attention for A",
    "effect": "share × what the value says",
    "a_more": "A counts more than B.",
    "b_more": "B counts more than A, although it gets only {share} of the attention.",
    "fade": "Strength of the picture",
    "slope": "slope here {slope}; probability {p}; slopes added up so far {sum}",
    "probability": "probability",
    "strength": "strength of the picture",
    "weight": "Weight of C",
    "fused": "fused",
    "rose": "rose",
    "tulip": "tulip",
    "answers": "The fusion says: {name}.",
    "epsilon": "Size of the changes (of 255)",
    "picture": "picture",
    "changes": "changes, magnified",
    "both": "both added",
    "epsilon_is": "Each number is changed by {epsilon} of 255 at most.",
}
