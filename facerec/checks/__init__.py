"""Checks of finished movie folders against the contract and the manifest; runs no stage, changes no file.

To add a check, write a function

    def check_<subject>(folder, <what it is compared with>, violations) -> <what later checks need>

in the module that holds the rules of the same kind (plan, shards and chain: `history`; merged files:
`results`; thumbnails: `images`; actor database: `actors`; films: `films`; all that the labeling backend
reads: `data_root`), and call it from `inspect.check_folder`. It reports every broken rule with
`violations.add(path, rule, line)` and goes on; only `OSError` leaves it.
"""
