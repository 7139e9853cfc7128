"""torchvision.datasets.utils: fetching and unpacking files."""

from minigrad.vision.archives import download_and_extract_archive, extract_archive
from minigrad.vision.download import calculate_md5, check_integrity, check_md5, download_url

__all__ = [
    "calculate_md5", "check_integrity", "check_md5", "download_and_extract_archive", "download_url", "extract_archive",
]  # fmt: skip
