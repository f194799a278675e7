"""Films as numbered frames: containers, exact decoding, presentation times and cuts.

Works on video files and pixels; does not depend on movie folders, models or actors.
"""

from facerec.video.film import Film as Film
from facerec.video.film import open_film as open_film
from facerec.video.film import read_frames as read_frames
