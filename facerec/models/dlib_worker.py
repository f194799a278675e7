"""Worker process that embeds with dlib; `dlib_resnet.py` starts it with the network's file as argument.

Protocol: the worker writes one line to standard output, `ready` or an error. Then, for each crop of
`SIZE` x `SIZE` RGB bytes on standard input, it writes the `DIMENSION` doubles of its vector. It exits at the
end of its input, so it never outlives its parent, and ignores signals, which the parent handles.

This file runs as a script with `-I`, so it imports nothing of this package.
"""

from __future__ import annotations

import os
import signal
import sys

SIZE, DIMENSION = 150, 128


def main(path: str) -> None:
    """Embed crops until the input ends."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # keeps what libraries print out of the protocol
    import dlib
    import numpy as np

    try:
        network = dlib.face_recognition_model_v1(path)
    except RuntimeError as error:
        answers.write(" ".join(str(error).split()).encode() + b"\n")
        answers.flush()
        return
    answers.write(b"ready\n")
    answers.flush()
    while len(crop := sys.stdin.buffer.read(SIZE * SIZE * 3)) == SIZE * SIZE * 3:
        vector = network.compute_face_descriptor(np.frombuffer(crop, np.uint8).reshape(SIZE, SIZE, 3))
        answers.write(np.array(vector, np.float64).tobytes())
        answers.flush()


if __name__ == "__main__":
    main(sys.argv[1])
