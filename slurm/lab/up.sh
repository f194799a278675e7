#!/bin/bash
# Start a test SLURM cluster on this machine, on the loopback interface only. down.sh stops it.
#
#   slurm/lab/up.sh [FOLDER]          default: .slurm-lab here
#   then:  . FOLDER/env.sh            puts SLURM_CONF and FOLDER/bin on the PATH
#          node kill n2 | node up n2  kill a node with its tasks | start it again
#
# Environment variables: NODES=4 CPUS=8 MEM=16000 GPUS=4 (per node; MEM in MB, GPUs are fake), PORT0=16800,
# MAX_ARRAY=1001 (MaxArraySize) and MIN_JOB_AGE=300 (seconds that squeue remembers an ended job), both
# defaults of SLURM, and MAX_JOBS=20000 (MaxJobCount). There is no accounting, because the launcher has to work
# without sacct; ACCOUNTING=1 adds slurmdbd and MariaDB (190 MB), so that the limits of sacctmgr hold.
#
# Exit status: 0 started; 3 not possible on this machine (the last line says why); 1 failed.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
BASE=${1:-.slurm-lab}
NODES=${NODES:-4} CPUS=${CPUS:-8} MEM=${MEM:-16000} GPUS=${GPUS:-4} PORT0=${PORT0:-16800}
MAX_ARRAY=${MAX_ARRAY:-1001} MIN_JOB_AGE=${MIN_JOB_AGE:-300} MAX_JOBS=${MAX_JOBS:-20000}
ACCOUNTING=${ACCOUNTING:-}
cannot(){ echo "no test SLURM cluster here: $*" >&2; exit 3; }
wait_for(){ # seconds command...
  local end=$((SECONDS + $1)); shift
  until "$@" >/dev/null 2>&1; do [ $SECONDS -lt $end ] || return 1; sleep 0.1; done; }

[ "$(id -u)" = 0 ] || cannot "it needs root, and the user is $(id -un)"
unshare --pid --fork --mount-proc true 2>/dev/null || cannot "the kernel allows no new process namespace"
mkdir -p "$BASE"; BASE=$(cd "$BASE" && pwd)
case $BASE in *[[:space:]]*) cannot "slurm.conf cannot hold spaces, and the folder is '$BASE'";; esac
[ ${#BASE} -le 85 ] || cannot "the path of a socket is limited to 108 characters, and the folder is '$BASE'"
[ ! -e "$BASE/env.sh" ] || { echo "a cluster runs in $BASE; first run: slurm/lab/down.sh $BASE" >&2; exit 1; }

# --- Debian's packages; policy-rc.d keeps them from starting daemons
missing=()
for package in slurmctld slurmd slurm-client munge ${ACCOUNTING:+slurmdbd mariadb-server}; do
  dpkg-query -W -f='${db:Status-Status}' $package 2>/dev/null | grep -qx installed || missing+=($package)
done
if [ ${#missing[@]} -gt 0 ]; then
  command -v apt-get >/dev/null || cannot "${missing[*]} not installed, and this is not Debian"
  made=; policy=/usr/sbin/policy-rc.d
  [ -e $policy ] || { printf '#!/bin/sh\nexit 101\n' >$policy; chmod 755 $policy; made=1; }
  export DEBIAN_FRONTEND=noninteractive
  installed=1
  { apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}"; } \
    >"$BASE/install.log" 2>&1 </dev/null || installed=
  [ -z "$made" ] || rm -f $policy
  [ -n "$installed" ] || cannot "apt-get could not install ${missing[*]}: $(tail -n 1 "$BASE/install.log")"
fi

# --- a block of unused ports
while (exec 3<>"/dev/tcp/127.0.0.1/$PORT0") 2>/dev/null; do PORT0=$((PORT0 + 200)); done

mkdir -p "$BASE"/{etc,log,state,spool,munge,bin,dev,pid}; chmod 755 "$BASE/munge"
conf=$BASE/etc; socket=$BASE/munge/munge.sock; gres=
accounting=AccountingStorageType=accounting_storage/none
[ -z "$ACCOUNTING" ] || accounting="AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort=$((PORT0 + 1))
AccountingStoragePass=$socket
AccountingStorageEnforce=limits,qos"
if [ "$GPUS" -gt 0 ]; then
  gres=" Gres=gpu:$GPUS"   # a fake GPU must be a character device: use the numbers of /dev/null
  for ((i = 0; i < GPUS; i++)); do [ -e "$BASE/dev/nvidia$i" ] || mknod "$BASE/dev/nvidia$i" c 1 3; done
fi
# cred_expire=5: a requeued job waits 5 s instead of two minutes. preempt_send_user_signal and GraceTime:
# preemption sends the job's warning signal (--signal) and then waits.
cat >"$conf/slurm.conf" <<CONF
ClusterName=lab
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort=$PORT0
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket=$socket,cred_expire=5
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
TreeWidth=64000
StateSaveLocation=$BASE/state
SlurmdSpoolDir=$BASE/spool/%n
SlurmctldPidFile=$BASE/pid/slurmctld.pid
SlurmdPidFile=$BASE/pid/slurmd-%n.inner.pid
SlurmctldLogFile=$BASE/log/slurmctld.log
SlurmdLogFile=$BASE/log/slurmd-%n.log
MailProg=/bin/true
MpiDefault=none
SwitchType=switch/none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=2
JobAcctGatherParams=OverMemoryKill
$accounting
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SlurmdParameters=config_overrides
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,sched_min_interval=0,batch_sched_delay=0,bf_interval=2
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmctldParameters=preempt_send_user_signal
ReturnToService=2
SlurmctldTimeout=30
SlurmdTimeout=10
MessageTimeout=5
TCPTimeout=2
InactiveLimit=0
KillWait=5
MinJobAge=$MIN_JOB_AGE
MaxArraySize=$MAX_ARRAY
MaxJobCount=$MAX_JOBS
DefMemPerCPU=100
GresTypes=gpu
NodeName=n[1-$NODES] NodeHostname=localhost NodeAddr=127.0.0.1 Port=[$((PORT0 + 101))-$((PORT0 + 100 + NODES))] CPUs=$CPUS RealMemory=$MEM$gres State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE DefaultTime=10 PriorityTier=10 GraceTime=10 State=UP
PartitionName=high Nodes=ALL Default=NO MaxTime=INFINITE DefaultTime=10 PriorityTier=20 PreemptMode=OFF State=UP
CONF
{ echo AutoDetect=off
  [ "$GPUS" = 0 ] || echo "NodeName=n[1-$NODES] Name=gpu File=$BASE/dev/nvidia[0-$((GPUS - 1))]"; } >"$conf/gres.conf"
echo CgroupPlugin=cgroup/v1 >"$conf/cgroup.conf"
export SLURM_CONF=$conf/slurm.conf

(umask 077; head -c 1024 /dev/urandom >"$BASE/munge/munge.key")
trap '[ $? = 0 ] || KEEP=1 "$here/down.sh" "$BASE" >&2' EXIT   # after an error, stop what was started and keep the logs
# --force: else munged refuses a socket in a folder that only root may enter, as pytest's folders are
munged --force --key-file="$BASE/munge/munge.key" --socket="$socket" --pid-file="$BASE/pid/munged.pid" \
  --log-file="$BASE/munge/munged.log" --seed-file="$BASE/munge/munged.seed" --num-threads=10 2>/dev/null
if [ -n "$ACCOUNTING" ]; then
  database=$BASE/db/mysql.sock
  mkdir "$BASE/db"
  mariadb-install-db --no-defaults --user=root --datadir="$BASE/db/data" --auth-root-authentication-method=normal \
    --skip-test-db --innodb-log-file-size=8M >"$BASE/log/mariadb-install.log" 2>&1
  setsid mariadbd --no-defaults --user=root --datadir="$BASE/db/data" --socket="$database" --skip-networking \
    --pid-file="$BASE/pid/mariadbd.pid" --innodb-log-file-size=8M --innodb-buffer-pool-size=64M \
    --innodb-lock-wait-timeout=900 </dev/null >"$BASE/log/mariadb.log" 2>&1 &
  wait_for 60 mariadb-admin --no-defaults -S "$database" -uroot ping
  mariadb --no-defaults -S "$database" -uroot \
    -e "create user slurm@localhost identified by 'slurm'; grant all on slurm_acct_db.* to slurm@localhost"
  (umask 077; cat >"$conf/slurmdbd.conf" <<CONF
AuthType=auth/munge
AuthInfo=socket=$socket
CommunicationParameters=NoInAddrAny
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort=$((PORT0 + 1))
SlurmUser=root
LogFile=$BASE/log/slurmdbd.log
PidFile=$BASE/pid/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=slurm
StoragePass=slurm
CONF
  )
  MYSQL_UNIX_PORT=$database slurmdbd
  has_cluster(){ timeout 5 sacctmgr -i -Q add cluster lab; timeout 5 sacctmgr -n show cluster | grep -qw lab; }
  wait_for 60 has_cluster
fi
slurmctld -c -f "$SLURM_CONF"
cat >"$BASE/bin/node" <<NODE
#!/bin/bash
# node up NAME | node kill NAME: each node has its own process namespace, so its tasks die with it.
case \$1 in
  up) SLURM_CONF=$SLURM_CONF setsid unshare --pid --fork --mount-proc --kill-child=KILL \\
        slurmd -D -f $SLURM_CONF -N "\$2" </dev/null >"$BASE/log/\$2.out" 2>&1 & echo \$! >"$BASE/pid/\$2.pid";;
  kill) kill -KILL \$(pgrep -P "\$(cat "$BASE/pid/\$2.pid")");;
  *) sed -n 2p "\$0"; exit 2;;
esac
NODE
chmod 755 "$BASE/bin/node"
for ((i = 1; i <= NODES; i++)); do "$BASE/bin/node" up n$i; done
echo "export SLURM_CONF=$SLURM_CONF PATH=$BASE/bin:\$PATH" >"$BASE/env.sh"
idle(){ [ "$(timeout 5 sinfo -h -p main -o '%T %D')" = "idle $NODES" ]; }
wait_for 30 idle || { tail -n 20 "$BASE/log/slurmctld.log" "$BASE/log/n1.out" >&2; exit 1; }
echo "SLURM runs: $NODES nodes of $CPUS CPUs, $GPUS GPUs, $MEM MB (partitions main, high); to use it:  . $BASE/env.sh"
