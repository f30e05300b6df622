"""An analysis as the lines of Python that make it again with this package."""

from dataclasses import fields

from vitdemo.explain import Options
from vitdemo.pipeline import Analysis, Request

TEMPLATE = '''"""Makes an analysis of vitdemo again: {title}."""

from pathlib import Path

{imports}

picture = images.load({picture})  # {about}
request = Request(
{request}
)
models = Models({device!r})  # or "auto", where this device is not there
analysis = analyse(picture, request, {catalogue}, models)

print(f"fused: {{analysis.top(1)[0]}}, agreement {{analysis.fused.agreement:.2f}}")
for row, weight in zip(analysis.backbones, analysis.fused.weights, strict=True):
    print(f"{{row.name}}: {{analysis.top(1, row.name)[0]}}, weight {{weight:.2f}}")

Path("maps.npz").write_bytes(result.save_maps(analysis))  # raw: SUBJECT/METHOD
Path("figure.png").write_bytes(result.figure(analysis))
Path("result.json").write_text(result.dumps(result.to_json(analysis)), encoding="utf-8")
'''


def script(analysis: Analysis, sample: str = "", added: tuple[str, ...] = ()) -> str:
    """The lines that compute an analysis again, on the same picture.

    Args:
        analysis: of one picture.
        sample: the file name of the sample that comes with the program, where it was one; otherwise the lines ask for
            picture.jpg, which the person has and the program does not keep.
        added: those of the backbones that the host added, whose sources only the host knows.
    """
    modules = {"images", "result"} | ({"host"} if added else set())
    imports = [f"from vitdemo import {', '.join(sorted(modules))}"]
    if not added:
        imports.append("from vitdemo.backbones import default_catalogue")
    usual, given = Options(), analysis.request.options
    changed = {
        f.name: getattr(given, f.name) for f in fields(Options) if getattr(given, f.name) != getattr(usual, f.name)
    }
    if changed:
        imports.append("from vitdemo.explain import Options")
    imports += ["from vitdemo.models import Models", "from vitdemo.pipeline import Request, analyse"]
    if sample:
        imports.append("from vitdemo.samples import FOLDER")
    if added:
        imports.insert(0, "from argparse import Namespace\n")
    lines = [
        f"    {field.name}={getattr(analysis.request, field.name)!r},"
        for field in fields(Request)
        if field.name != "options" and _is_said(analysis.request, field.name)
    ]
    if changed:
        lines.append(f"    options=Options({', '.join(f'{name}={value!r}' for name, value in changed.items())}),")
    sources = [f"{name}=local-dir:PATH" for name in added]
    return TEMPLATE.format(
        title=f"{analysis.request.fusion} of {', '.join(analysis.request.backbones)}",
        imports="\n".join(imports),
        picture=f"FOLDER / {sample!r}" if sample else '"picture.jpg"',
        about="a sample that comes with the package" if sample else "put your picture here",
        request="\n".join(lines),
        device=analysis.device.partition(":")[0],
        catalogue=f"host.catalogue(Namespace(backbone={sources!r}))" if added else "default_catalogue()",
    )


def _is_said(request: Request, name: str) -> bool:
    """Whether a field stands in the lines: always what was chosen, and the rest where it is not as usual."""
    always = ("collection", "backbones", "fusion", "explanations")
    return name in always or getattr(request, name) != getattr(Request(), name)
