"""Sample pictures that the project draws itself, each with a mask that says where every flower is.

`draw` makes a picture of a seed: one or two of five kinds of flowers, out of nothing but arithmetic and a
random generator; no photograph is read. Because the masks are known exactly, a map can be asked whether it
points at the flower that it explains. `python -m vitdemo.samples` writes the pictures that are shipped.

1. `paint`    shapes with soft edges, layers, noise.
2. `heads`    the five flowers.
3. `scenery`  backgrounds, stems, leaves.
4. `scene`    puts a picture together: `draw`, and many of them: `series`.
5. `files`    the shipped pictures: `write`, `shipped`.

Data convention: pictures are (size, size, 3) uint8 RGB, masks (F, size, size) bool, one for each flower in
order.
"""

from vitdemo.samples.files import FOLDER, Shipped, masks_of, read_mask, shipped, write
from vitdemo.samples.scene import FLOWERS, Sample, draw, series

__all__ = ["FLOWERS", "FOLDER", "Sample", "Shipped", "draw", "masks_of", "read_mask", "series", "shipped", "write"]
