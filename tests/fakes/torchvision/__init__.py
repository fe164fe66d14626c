"""Stands in for torchvision, whose default build does not load beside a CPU torch: enough to import Gemma 3's classes.

No image is ever processed. Only the subprocess of tests/learner/test_gemma3_multimodal.py has this folder on its path.
"""

__version__ = "0.28.0"
