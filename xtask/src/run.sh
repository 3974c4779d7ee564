# Brings a lab up, shows it, and takes it down again, whatever happens in between.
#
# It is a shell's job because of Ctrl-C: the shell outlives the signal that ends the running step, waits for that
# step to finish its own undoing, and only then takes the lab down. Rust's standard library cannot do that.
#
# Arguments: the lab file, the lab's name, then netlab itself (with `sudo -E` before it where needed).

lab=$1 name=$2
shift 2
failed=0 interrupted=0
trap 'interrupted=1' INT TERM HUP

# Runs a command line and notes whether it failed; $shown is how it is shown.
step() {
    printf '$ netlab %s\n' "$shown"
    "$@" || { failed=1; return 1; }
}

# Runs netlab (the arguments) with $words, unless interrupted.
show() {
    [ "$interrupted" = 0 ] || return 0
    shown=$words
    # Not quoted, to be split: neither a verb nor a lab's name holds a blank.
    step "$@" $words
    echo
}

shown="up -f $lab"
if step "$@" up -f "$lab"; then
    echo
    for words in "check -l $name" "forward ls -l $name" "masquerade ls -l $name" "conntrack ls -l $name" "stats -l $name"; do
        show "$@"
    done
fi
shown="down -l $name"
step "$@" down -l "$name"
[ "$interrupted" = 0 ] || exit 130
exit "$failed"
