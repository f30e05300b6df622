"""What a visitor takes home, in a browser: a link that restores everything, the report, the lines of Python."""

import re

from PIL import Image

OPACITY = "() => document.documentElement.style.getPropertyValue('--opacity')"


def downloaded(page, name: str, tmp_path):
    with page.expect_download() as waiting:
        page.locator(f"#take-{name}").click()
    path = tmp_path / waiting.value.suggested_filename
    waiting.value.save_as(path)
    return path


def test_the_report_comes_as_a_page_and_as_a_picture(visit, chromium, tmp_path):
    page = visit("?explanations=gradient&backbones=vit,resnet&lang=zh")
    document = downloaded(page, "report", tmp_path)
    assert document.suffix == ".html" and '<html lang="zh-CN">' in document.read_text(encoding="utf-8")
    asked: list[str] = []
    reader = chromium.new_page(viewport={"width": 390, "height": 800})
    reader.on("request", lambda request: asked.append(request.url) if not request.url.startswith("data:") else None)
    reader.goto(document.as_uri())
    assert asked == [document.as_uri()]
    assert reader.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    assert reader.evaluate("() => [...document.images].every((image) => image.naturalWidth > 100 && image.alt)")
    reader.close()
    image = downloaded(page, "report_image", tmp_path)
    assert Image.open(image).format == "PNG" and Image.open(image).width == 1240


def test_the_lines_of_python_are_shown(visit):
    page = visit("?explanations=gradient&backbones=vit,resnet&fusion=geometric&target=tulips&sample=rose&steps=8")
    page.locator("#take-script").click()
    page.locator("#script .cm-content").wait_for()
    lines = "\n".join(page.locator("#script .cm-line").all_inner_texts())
    assert "FOLDER / 'rose.jpg'" in lines and "fusion='geometric'" in lines and "target='tulips'" in lines


def test_a_link_restores_how_maps_are_drawn_and_what_is_pinned(visit):
    wanted = "?backbones=vit,resnet&fusion=geometric&explanations=gradient&target=tulips&patches=7&sample=rose"
    page = visit(f"{wanted}&scale=all&colours=cividis&opacity=0.3&tab=attention&at_layer=2&at_head=1&token=5")
    page.wait_for_selector(".att-stage canvas")
    page.wait_for_function("() => vitdemo.attention.view()")
    view = page.evaluate("() => vitdemo.attention.view()")
    assert (view["layer"], view["pins"]) == (1, [4])
    assert page.evaluate(OPACITY) == "0.3"
    link = dict(re.findall(r"[?&](\w+)=([^&]*)", page.url))
    again = visit("?" + page.url.partition("?")[2])
    again.wait_for_selector(".att-stage canvas")
    assert dict(re.findall(r"[?&](\w+)=([^&]*)", again.url)) == link
    for pair in f"{wanted[1:]}&scale=all&colours=cividis&opacity=0.3&tab=attention&at_layer=2&token=5".split("&"):
        name, value = pair.split("=")
        assert link[name] == value, name
    assert again.evaluate(OPACITY) == "0.3"
