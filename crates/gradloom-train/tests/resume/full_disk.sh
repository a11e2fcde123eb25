#!/bin/sh
# Fills the disk under a run, or makes its folder read-only, at several moments; the run ends with an error, and
# what goes on once there is room again leaves the same bytes as a run that nothing happened to. Needs root, for
# `mount` and `chattr`.
#
#   cargo test -p gradloom-train --test resume --no-run
#   sh full_disk.sh BINARY        the binary that this names
set -u
binary=$1
work=$(mktemp -d)
run() {
    GRADLOOM_TEST_RUN_FOLDER=$1 "$binary" --exact kills::the_run_of_a_child --nocapture >"$work/log" 2>&1
}
mkdir "$work/whole" "$work/disk"
run "$work/whole" || exit 1
failed=0
for kind in full readonly; do
    for delay in 0.06 0.1 0.14 0.18 0.22 0.26; do
        if [ $kind = full ]; then
            mount -t tmpfs -o size=600k tmpfs "$work/disk"
            folder=$work/disk/run
        else
            folder=$work/readonly
        fi
        mkdir "$folder"
        run "$folder" &
        child=$!
        sleep $delay
        if [ $kind = full ]; then
            dd if=/dev/zero of="$work/disk/filler" bs=1k 2>/dev/null
        else
            chattr +i "$folder"
        fi
        wait $child
        ended=$?
        if [ $kind = full ]; then rm "$work/disk/filler"; else chattr -i "$folder"; fi
        run "$folder"
        if diff -r "$work/whole" "$folder" >/dev/null; then same="the same bytes"; else
            same="OTHER BYTES"
            failed=1
        fi
        echo "$kind after $delay s: ended with $ended, then $same"
        if [ $kind = full ]; then umount "$work/disk"; else rm -r "$folder"; fi
    done
done
rm -r "$work"
exit $failed
