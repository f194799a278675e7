"""The process in which dlib embeds: run by `dlib_resnet.py`, with the network's file as its argument.

Answers on its standard output a line, `ready` or what is wrong, then each crop of `SIZE` x `SIZE` RGB bytes
that comes in on its standard input by the `DIMENSION` doubles of its vector. Ends with its input, so it
never outlives who began it, and leaves it to that process what to do about a signal.
"""

from __future__ import annotations

import os
import signal
import sys

SIZE, DIMENSION = 150, 128


def main(path: str) -> None:
    """Answer until the input ends."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not get among the answers
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
