# The first process of the guest: mounts what a system has, runs the tests that the list names, and says on the
# second serial line how each went. Lines that begin with @ are for the one who reads along.
#
# The root is the outer machine's, under a layer of memory: nothing that happens here reaches a disk.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8
mount -t devtmpfs dev /dev
exec </dev/null >/dev/ttyS1 2>&1
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mkdir -p /dev/shm /dev/pts
mount -t devpts devpts /dev/pts
for place in /dev/shm /run /tmp; do
    # The checkout may lie in one of them, and must not be hidden; writing to it reaches no disk, either.
    case $NETLAB_LIST in "$place"/*) ;; *) mount -t tmpfs none $place ;; esac
done
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir -p "/lib/modules/$(uname -r)"
mount --bind "$NETLAB_MODULES" "/lib/modules/$(uname -r)"
ip link set lo up
echo "@up $(uname -r) $(cut -d' ' -f1 /proc/uptime)"

# The first look at a file takes long in there, and netlab waits no more than ten seconds for what its nodes run.
python3 -c 'import hashlib, socket, threading'

now() { date +%s%3N; }
while IFS=$'\t' read -r folder program suite name; do
    echo "@start $suite::$name"
    cd "$folder" || exit
    begun=$(now)
    timeout --kill-after=10 "$NETLAB_LIMIT" "$program" --exact "$name" --nocapture >/tmp/said 2>&1
    code=$?
    took=$(($(now) - begun))
    grep -a '^SKIPPED' /tmp/said
    # A test that was not found is none that passed.
    if [ $code = 0 ] && ! grep -aq '^test result: ok. 1 passed' /tmp/said; then code=99; fi
    if [ $code != 0 ]; then tail -c 20000 /tmp/said; fi
    echo "@end $code $took"
done <"$NETLAB_LIST"
echo "@done"
# Nothing is mounted that would want to be written.
echo o >/proc/sysrq-trigger
sleep 60
