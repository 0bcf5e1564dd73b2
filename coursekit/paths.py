"""Where the course keeps its data: beside the package in a checkout, inside it in an installed wheel."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def data_dir() -> Path:
    """Return the folder that holds `clusters/`, `recordings/`, `documented/` and `bgp/`."""
    checkout = _PACKAGE.parent / "data"
    return checkout if (checkout / "clusters").is_dir() else _PACKAGE / "data"


def notebooks_dir() -> Path:
    """Return the folder that holds the course's own notebooks, the edition with outputs."""
    checkout = _PACKAGE.parent / "notebooks"
    return checkout if any(checkout.glob("*.ipynb")) else _PACKAGE / "notebooks"
