"""Turns pictures gray: the platform's own tutorial, on files.

The gray copy lies in the watched folder too, so it becomes a new item, whose event matches the trigger
`every-new-item` again. `context.open_output` lets the file carry what led to it, and the engine stops the loop.
"""

from pathlib import Path
from urllib.parse import unquote, urlparse

from skimage import color, io, util


def rgb2gray(item, context):
    source = path_of(item)
    gray = util.img_as_ubyte(color.rgb2gray(pixels(source)))
    root = source.parents[item["filename"].count("/") - 1]
    target = root / "gray" / item["filename"].lstrip("/")
    target = target.with_suffix(".png")
    target.parent.mkdir(parents=True, exist_ok=True)
    with context.open_output(target) as file:
        io.imsave(file, gray, extension=".png", check_contrast=False)
    return {"gray": str(target.relative_to(root))}


def describe(item):
    picture = pixels(path_of(item))
    height, width = picture.shape[:2]
    return {"width": width, "height": height, "brightness": round(float(color.rgb2gray(picture).mean()), 3)}


def path_of(item):
    return Path(unquote(urlparse(item["stream"]).path))


def pixels(path):
    picture = io.imread(path)
    return color.gray2rgb(picture) if picture.ndim == 2 else picture[..., :3]
