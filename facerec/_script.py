"""Put the package on the import path of a command that runs as a script: `python -u ./facerec/cluster.py`.

Python starts a script with the script's own folder first on the import path (of a symlink: the folder that
it points to). From there `facerec` cannot be imported, and `import video` or `import models` of any library
would get a package of ours. So a command imports this module, which lies in that folder, before all others,
where it has no `__package__`; from then on the folder above stands first. Nothing else may be imported
here: `os` and `sys` are loaded before a script begins, another module could be one of ours by mistake.
"""

import os
import sys

sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
