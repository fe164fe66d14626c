"""Names that transformers imports; no image is ever converted."""

pil_to_tensor = None
