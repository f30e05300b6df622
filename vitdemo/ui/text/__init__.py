"""Every word of the page, one file per language, under the same keys.

Static labels go to the browser with both languages (`gr.I18n`), which picks one; text made on the server follows the
same choice: the link's `lang`, or else the language that the browser asks for.

A new fusion or method has its English text in its registry, and needs one line in `zh.FUSIONS` or `zh.METHODS`.
"""

import re
from collections.abc import Callable

from vitdemo.explain import BASELINES, EXPLANATIONS
from vitdemo.fusion import FUSIONS
from vitdemo.ui.text import en, zh

Say = Callable[..., str]  # say("key", name=value) is the text in one language


def _english() -> dict[str, str]:
    """The file's own texts, and those that the registries already hold."""
    texts = dict(en.TEXT)
    for fusion in FUSIONS:
        texts[f"fusion.{fusion.name}"] = fusion.title
        texts[f"fusion.{fusion.name}.sentence"] = fusion.sentence
    for explanation in EXPLANATIONS:
        texts[f"method.{explanation.name}"] = explanation.title
        texts[f"method.{explanation.name}.sentence"] = explanation.sentence
        texts[f"method.{explanation.name}.limits"] = explanation.limits
    for baseline in BASELINES:
        texts[f"baseline.{baseline}"] = baseline
    return texts


def _chinese() -> dict[str, str]:
    """The file's own texts, and those of what the registries hold."""
    texts = dict(zh.TEXT)
    for fusion in FUSIONS:
        if fusion.name in zh.FUSIONS:
            texts[f"fusion.{fusion.name}"], texts[f"fusion.{fusion.name}.sentence"] = zh.FUSIONS[fusion.name]
    for explanation in EXPLANATIONS:
        if explanation.name in zh.METHODS:
            parts = ("", ".sentence", ".limits")
            named = zip(parts, zh.METHODS[explanation.name], strict=True)
            texts |= {f"method.{explanation.name}{part}": text for part, text in named}
    return texts


LANGUAGES: dict[str, dict[str, str]] = {"en": _english(), "zh-CN": _chinese()}
SHORT = {"en": "en", "zh": "zh-CN"}  # what a link's `lang` may say


def language_of(accepted: str | None, chosen: str = "") -> str:
    """The language to speak: the one chosen by link (`SHORT`), or else from the browser's Accept-Language header."""
    if chosen in SHORT:
        return SHORT[chosen]
    first = (accepted or "").split(",")[0].strip().lower()
    return "zh-CN" if first.startswith("zh") else "en"


def speaker(language: str) -> Say:
    """A function from a key, and values for its gaps, to text in that language."""
    texts = LANGUAGES[language]
    return lambda key, **values: texts[key].format(**values) if values else texts[key]


def known(key: str, say: Say, otherwise: str) -> str:
    """The text of a key, or something else where no file has the key: a plug-in's names, the labels of ImageNet."""
    return say(key) if key in LANGUAGES["en"] else otherwise


def translated(reason: str, language: str) -> str:
    """Why something is not offered or cannot be done, in that language; part by part, since reasons are joined."""
    if language == "zh-CN":
        # a method's name begins the sentence that says that it compares no classes; some end with another's
        for explanation in sorted(EXPLANATIONS, key=lambda each: -len(each.title)):
            same = " is the same for every class, so it cannot"
            chinese = LANGUAGES[language][f"method.{explanation.name}"]
            reason = reason.replace(f"{explanation.title.lower()}{same}", f"{chinese}{same}")
        for english, chinese in zh.REASONS.items():
            reason = reason.replace(english, chinese)
        for english, chinese in zh.PATTERNS.items():
            reason = re.sub(english, chinese, reason)
        texts = LANGUAGES[language]  # an option goes by its name on the page
        reason = re.sub(r"(?<=“)\w+(?=”的值是)", lambda name: texts.get(f"option.{name[0]}", name[0]), reason)
    return reason
