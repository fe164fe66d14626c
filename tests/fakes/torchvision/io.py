"""Names that transformers imports; no image is ever decoded."""

ImageReadMode = decode_image = None
