"""Every sentence of refusal, error or caution that can reach the page has its Chinese, found in the source itself."""

import ast
import re
from pathlib import Path

import pytest

from vitdemo.errors import UnknownNameError
from vitdemo.explain import EXPLANATIONS
from vitdemo.fusion import FUSIONS
from vitdemo.ui.text import LANGUAGES, translated, zh

PACKAGE = Path(__file__).parents[1] / "vitdemo"
SAYING = ("explain", "attention", "scrutiny.py", "whatif.py", "microscope.py", "pipeline.py", "images.py", "spaces.py",
          "fusion/strategies.py", "ui/whatif.py", "models.py", "weights.py", "backbones.py", "sources.py",
          "transformers_format/names.py")  # fmt: skip
NEVER_ON_THE_PAGE = (  # what a slip in the program would say, the person who starts it, or one who uses it as a library
    "attention matrices of shapes", "maps came with the weights", "One map is signed", "The last feature map of",
    "Two backbones of the collection", "A backbone is called", "fetch the project again", "they have to be equal",
    "do not fit the architecture", "Unknown device", "This machine has no", "Only .safetensors files", "is no revision",
    "does not describe a timm classifier", "is no folder", "has no 7", "cannot be used: 7", "is not valid JSON",
    "is no name of a", "to below 1", "7 of 7 MB", "7 7 of 7", "label_names", "should name safetensors", "Shards of",
    "a commit or an etag", "'7'7",
)  # fmt: skip
# What has the same name in both languages, and what only a program could send.
FOREIGN = """LeViT ReLU ReLUs logit DeepLift GradCAM CrossViT MobileViT MobileViTv2 XCiT Transformer softmax JPEG PNG
    WebP GIF BMP GPU MB stamp grid hidden mask --memory HF_HOME HF_HUB_OFFLINE HF_ENDPOINT hf auth login Hub
    safetensors pip install SHA"""


def text(node: ast.AST | None) -> str:
    """What a node says, if it says something."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, ast.JoinedStr):
        parts = (text(part) or ("'7'" if getattr(part, "conversion", 0) == ord("r") else "7") for part in node.values)
        return re.sub("^7: ", "The 7 is not on this machine and needs a network once: ", "".join(parts))
    return ""


def named(sentence: str) -> str:
    """With a file of weights as it names itself."""
    return re.sub(r"\b([Tt]he|There is no) 7(?! of\b)", r"\1 file '7' of '7'", sentence)


def said_in(path: Path) -> set[str]:
    """Every sentence that a file raises, refuses with or notes; 7 stands for what is filled in."""

    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id == "NotOffered" or node.func.id.endswith("Error"):
                found |= {text(part) for part in node.args[:1]}
            found |= {text(keyword.value) for keyword in node.keywords if keyword.arg == "note"}
        targets = getattr(node, "targets", [None])
        if isinstance(node, ast.Return) or getattr(targets[0], "id", "") in ("note", "damaged"):
            found.add(text(node.value))
    found = {named(each) for each in found}
    return {sentence for sentence in found if len(sentence.split()) > 3}


def files_that_speak() -> list[Path]:
    there = [PACKAGE / name for name in SAYING]
    return [file for path in there for file in (sorted(path.glob("*.py")) if path.is_dir() else [path])]


@pytest.mark.parametrize("path", files_that_speak(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_what_can_reach_the_page_is_translated(path):
    """Found in the source, so that a new sentence without its Chinese fails here."""
    left = {}
    for sentence in said_in(path):
        if not any(part in sentence for part in NEVER_ON_THE_PAGE):
            chinese = translated(sentence, "zh-CN")
            words = set(re.findall(r"-*[A-Za-z][A-Za-z_0-9]+", chinese)) - set(FOREIGN.split())
            if words or not re.search("[\u4e00-\u9fff]", chinese):
                left[sentence] = chinese
    assert left == {}


def kinds(files: list[Path]) -> set[str]:
    """What an unknown name may be one of."""
    calls = [node for path in files for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
             if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "UnknownNameError"]  # fmt: skip
    return {text(call.args[0]) for call in calls} | {FUSIONS.kind, EXPLANATIONS.kind, "head fusion"}


def test_no_translation_outlives_its_sentence():
    files = [path for path in PACKAGE.rglob("*.py") if path.parent.name != "text"]
    said = {text(node) for path in files for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))}
    said = {named(each) for each in said} | {str(UnknownNameError(kind, "7", ["7"])) for kind in kinds(files)}
    said |= {fusion.title for fusion in FUSIONS}
    assert [reason for reason in zh.REASONS if not any(reason.lower() in each.lower() for each in said)] == []
    english = [pattern for pattern in zh.PATTERNS if not re.search("[\u4e00-\u9fff]|\\\\u4e00|。", pattern)]
    assert [pattern for pattern in english if not any(re.search(pattern, each) for each in said)] == []


@pytest.mark.parametrize("explanation", list(EXPLANATIONS), ids=lambda each: each.name)
def test_a_method_that_compares_no_classes_is_named_in_chinese(explanation):
    reason = f"{explanation.title.lower()} is the same for every class, so it cannot compare two of them"
    chinese = LANGUAGES["zh-CN"][f"method.{explanation.name}"]
    assert translated(reason, "zh-CN") == f"{chinese}对每个类别都一样，无法比较两个类别"
    assert translated(reason, "en") == reason


@pytest.mark.parametrize(
    ("english", "chinese"),
    [
        ("epsilon is '400'; allowed: a whole number from 0 to 64.", "“epsilon”的值是 '400'；允许：0 到 64 的整数。"),
        ("residual is '2'; allowed: 0 to 0.99.", "“展开：捷径的权重”的值是 '2'；允许：0 到 0.99。"),
        (
            "The file 'model.safetensors' of 'timm/vit' is not on this machine and needs a network once: "
            "https://huggingface.co cannot be reached. The bundled flowers collection works without it.",
            "“timm/vit”的文件“model.safetensors”不在这台机器上，需要联网下载一次：无法连接 https://huggingface.co。"
            "自带的花卉集合不需要它也能用。",
        ),
        ("There is no patch 99; allowed: 0 to 63.", "没有小块 99；允许：0 到 63。"),
        (
            "an extension: merging patches is taken as their mean, convolutions between the layers are taken to stay "
            "in place",
            "推广：合并小块看作它们的平均，层间的卷积看作停留在原位",
        ),
        (
            "Majority vote jumps from class to class, so no gradient leads to a mistake; allowed: another fusion.",
            "多数表决会在类别之间跳变，没有梯度可以引向错误；请换一种融合方式。",
        ),
        (
            "guided backpropagation is defined for networks of ReLUs alone, and this one has GELU and attention",
            "引导反向传播只对仅含 ReLU 的网络有定义，而这个网络含有 GELU 和注意力",
        ),
        (
            "notes.png is empty; expected a picture: JPEG, PNG, WebP, GIF or BMP.",
            "notes.png 是空文件；需要一张图片：JPEG、PNG、WebP、GIF 或 BMP。",
        ),
        (
            "roses is to be compared with itself; allowed: two different classes.",
            "roses 不能与自身比较；允许：两个不同的类别。",
        ),
    ],
)
def test_names_and_numbers_stay_in_their_place(english, chinese):
    assert translated(english, "zh-CN") == chinese and translated(english, "en") == english
