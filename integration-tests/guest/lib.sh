# shellcheck shell=bash
# Shared by build and run: where the guest is kept, and the one description of
# the machine. A saved state can only be loaded into the very same set of devices
# that it was saved from, so nothing else may spell out qemu's arguments.

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
suite=${GUEST_SUITE:-sid}
lsm=${GUEST_LSM:-apparmor}
mem=${GUEST_MEM:-2048}
cpus=${GUEST_CPUS:-2}
cache=${GUEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/husk-guest}/$suite-$lsm

say() { printf 'guest: %s\n' "$*" >&2; }
# The status 125 means everywhere: not the command failed, the guest did.
die() { say "$@"; exit 125; }

# Digest of everything that the guest depends on but the packages' versions.
guest_key() {
	{
		printf '%s\n' "$suite" "$lsm" "$mem" "$cpus" "${GUEST_MIRROR-}" "${GUEST_PACKAGES-}"
		# A saved state belongs to one build of qemu.
		stat -L -c '%s %Y' "$(command -v qemu-system-x86_64)"
		find "$here/build" "$here/lib.sh" "$here/inside" -type f -print0 |
			LC_ALL=C sort -z | xargs -0 cat
	} | sha256sum | cut -c1-16
}

# qemu_args ARRAY IMAGES SHARE DISK SRC SRC_READONLY OUT WORK
#   IMAGES: the directory of this guest's files
#   SHARE: on while the state is made (memory goes to the file), off when it is
#   used (the file is mapped copy-on-write, so no run disturbs another).
#   WORK: a directory with the named pipes ctl.in, ctl.out, out, err.
qemu_args() {
	local -n _a=$1
	local images=$2 share=$3 disk=$4 src=$5 src_ro=$6 out=$7 work=$8
	# Commas separate options in qemu's syntax; a doubled one is literal.
	src=${src//,/,,} out=${out//,/,,}
	# Emulation with several threads brought kernel 7.x down while it patched its
	# own code (qemu 7.2), hence thread=single.
	# shellcheck disable=SC2054
	_a=(
		qemu-system-x86_64 -nodefaults -no-user-config -display none -no-reboot
		-machine pc,memory-backend=ram,vmport=off
		-accel tcg,thread=single,tb-size=512 -cpu max,la57=off
		-smp "$cpus" -m "$mem"
		-object "memory-backend-file,id=ram,size=${mem}M,mem-path=$images/ram,share=$share"
		-drive "if=none,id=root,file=$disk,format=qcow2,cache=unsafe,discard=unmap"
		-device virtio-blk-pci,drive=root
		-device virtio-serial-pci
		-chardev "pipe,id=ctl,path=$work/ctl" -device virtserialport,chardev=ctl,name=ctl
		-chardev "file,id=out,path=$work/out" -device virtserialport,chardev=out,name=out
		-chardev "file,id=err,path=$work/err" -device virtserialport,chardev=err,name=err
		-fsdev "local,id=src,path=$src,security_model=passthrough,multidevs=remap,readonly=$src_ro"
		-device virtio-9p-pci,fsdev=src,mount_tag=src
		-fsdev "local,id=out,path=$out,security_model=passthrough,multidevs=remap"
		-device virtio-9p-pci,fsdev=out,mount_tag=out
		-serial "file:$work/console"
	)
}

# boot_args ARRAY IMAGES: what a boot from power-on needs besides.
boot_args() {
	local -n _b=$1
	local images=$2 append="console=ttyS0 quiet loglevel=4 root=/dev/vda rw rootfstype=ext4 mitigations=off"
	append+=" nokaslr no_timer_check tsc=reliable random.trust_cpu=on audit=0 nowatchdog"
	append+=" rcupdate.rcu_cpu_stall_suppress=1"
	append+=" systemd.show_status=0 systemd.log_target=console systemd.log_level=warning"
	case $lsm in
	apparmor) append+=" apparmor=1 security=apparmor" ;;
	selinux) append+=" selinux=1 security=selinux enforcing=0" ;;
	esac
	_b=(-kernel "$images/vmlinuz" -initrd "$images/initrd" -append "$append ${GUEST_APPEND-}")
}

# make_pipes DIR: the named pipes that qemu_args expects.
make_pipes() { mkfifo "$1/ctl.in" "$1/ctl.out" "$1/out" "$1/err"; }
