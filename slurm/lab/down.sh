#!/bin/bash
# Stop the test cluster that up.sh started, by the process ids in FOLDER/pid; then remove FOLDER.
#   slurm/lab/down.sh [FOLDER]        default: .slurm-lab here; KEEP=1 keeps the logs
set -uo pipefail
BASE=${1:-.slurm-lab}
[ -d "$BASE/pid" ] || { echo "no SLURM in $BASE"; exit 0; }
BASE=$(cd "$BASE" && pwd)
runs(){ # pid name: does the process run this program? (the pid may belong to another process by now)
  [ "$(cat "/proc/$1/comm" 2>/dev/null)" = "$2" ] && ! grep -q '^State:.Z' "/proc/$1/status" 2>/dev/null; }
stop(){ # pid name
  runs "$1" "$2" || return 0
  kill -TERM "$1" 2>/dev/null
  for ((i = 0; i < 100; i++)); do runs "$1" "$2" || return 0; sleep 0.1; done
  kill -KILL "$1" 2>/dev/null; }
pid_of(){ cat "$BASE/pid/$1.pid" 2>/dev/null || echo 0; }
stop "$(pid_of slurmctld)" slurmctld
for file in "$BASE"/pid/n[0-9]*.pid; do
  [ -e "$file" ] || continue
  shell=$(cat "$file"); runs "$shell" unshare || continue
  for slurmd in $(pgrep -P "$shell"); do kill -KILL "$slurmd" 2>/dev/null; done   # ends its namespace
  stop "$shell" unshare
done
stop "$(pid_of slurmdbd)" slurmdbd
stop "$(pid_of mariadbd)" mariadbd
stop "$(pid_of munged)" munged
if [ "${KEEP:-0}" = 1 ]; then rm -f "$BASE/env.sh"; else rm -rf "$BASE"; fi
echo "stopped SLURM in $BASE"
