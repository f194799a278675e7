"""A CPU task with models that do not need torch does not import it."""

from __future__ import annotations

import subprocess
import sys

from tests.conftest import ROOT


def test_a_device_is_chosen_without_torch_for_models_that_cannot_use_a_gpu() -> None:
    program = (
        "import sys; from facerec.models import check_device; check_device('auto', 'yunet', 'arcface'); "
        "check_device('cpu', 'retinaface', 'facenet'); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT).returncode == 0
