"""Fix the import path of a command that runs as a script: `python -u ./facerec/cluster.py`.

Python puts the folder of a script (for a symlink, of its target) first on the import path. With this path
`import facerec` fails, and a library's `import video` or `import models` would import facerec/video or
facerec/models. So a command that runs as a script, which has no `__package__`, imports this module before
all others; it replaces the folder by its parent. Only `os` and `sys`, which are loaded before a script
starts, may be imported here: any other import would still search the wrong folder.
"""

import os
import sys

sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
