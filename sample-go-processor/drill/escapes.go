//go:build linux

// Tries known ways out of a container, each by its name, and says of each what stopped it. What succeeds says ESCAPED, and
// changes nothing: whatever is written is what was read before, or is refused once the right to it was seen.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
)

const (
	escaped       = "ESCAPED"
	ptraceSeize   = 0x4206
	fSetLease     = 1024
	noSuchRequest = ^uintptr(0) // found fault with by every kernel, once the right to ask was seen
)

// escapes is the list: a name, how it is tried, and where it is known from.
func escapes() map[string]func() string {
	open := func(flags int, paths ...string) func() string {
		return func() string { return openedAny(flags, paths...) }
	}
	program := func(path string) func() string {
		return func() string { return programOpened(path) }
	}
	call := func(number uintptr, arguments ...uintptr) func() string {
		return func() string { return called(number, arguments...) }
	}
	return map[string]func() string{
		// What the runtime is, and what it leaves open.
		"shared_init_program": program("/proc/1/exe"),    // CVE-2019-5736
		"own_program":         program("/proc/self/exe"), // the same, by a program that is the runtime
		"leaked_directory":    leakedDirectory,           // CVE-2024-21626
		"leaked_files":        leakedFiles,               // CVE-2016-9962, and others since
		"streams":             streams,                   // the three that are meant to be open
		"working_directory":   workingDirectory,          // CVE-2024-21626, by an image
		"root_of_init":        rootOfInit,                // /proc/1/root and /proc/1/cwd lead where init is
		"files_of_init":       filesOfInit,
		"taken_from_init":     takenFromInit, // pidfd_getfd
		"memory_of_init":      open(os.O_RDWR, "/proc/1/mem"),
		"written_into_init":   writtenIntoInit,                          // process_vm_writev
		"trace_init":          call(syscall.SYS_PTRACE, ptraceSeize, 1), // it does not stop
		"namespaces_of_init":  namespacesOfInit,
		"other_processes":     otherProcesses,

		// Where a write is one to the host's kernel, and what a runtime's own write was led to.
		"release_agent":  releaseAgent,                                                     // CVE-2022-0492
		"core_pattern":   func() string { return writes("/proc/sys/kernel/core_pattern") }, // CVE-2025-52881
		"modprobe":       func() string { return writes("/proc/sys/kernel/modprobe") },
		"uevent_helper":  func() string { return writes("/sys/kernel/uevent_helper") },
		"sysrq":          open(os.O_WRONLY, "/proc/sysrq-trigger"), // CVE-2025-31133
		"binfmt_misc":    open(os.O_WRONLY, "/proc/sys/fs/binfmt_misc/register"),
		"control_groups": controlGroups,

		// What the host knows or has.
		"kernel_memory": func() string {
			return first(reads("/proc/kcore"), openedAny(os.O_RDONLY, "/dev/mem", "/dev/kmem", "/dev/port"))
		},
		"kernel_keys":   func() string { return reads("/proc/keys") },
		"kernel_timers": func() string { return reads("/proc/timer_list") },
		"kernel_log": func() string {
			return first(opened("/dev/kmsg", os.O_RDONLY), called(syscall.SYS_SYSLOG, 3, zeros(16), 16))
		},
		"console":             open(os.O_RDWR, "/dev/console", "/dev/tty", "/dev/tty0"), // CVE-2025-52565
		"disks":               disks,
		"devices_of_the_host": open(os.O_RDWR, "/dev/kvm", "/dev/fuse", "/dev/net/tun", "/dev/loop-control", "/dev/mapper/control", "/dev/vhost-net", "/dev/vhost-vsock"),
		"device_node":         deviceNode,
		"sockets_of_the_host": socketsOfTheHost,
		"packets":             call(syscall.SYS_SOCKET, syscall.AF_PACKET, syscall.SOCK_RAW, 0),
		"hypervisor":          call(syscall.SYS_SOCKET, 40, syscall.SOCK_STREAM, 0), // AF_VSOCK

		// Mounts: another root, and what lies below a mask.
		"handles":      openByHandle, // "shocker"
		"chroot":       call(syscall.SYS_CHROOT, at("/")),
		"pivot_root":   call(syscall.SYS_PIVOT_ROOT, at("/"), at("/")),
		"remount_root": call(syscall.SYS_MOUNT, 0, at("/"), 0, syscall.MS_REMOUNT|syscall.MS_BIND, 0),
		"mount_proc":   call(syscall.SYS_MOUNT, at("proc"), at("/proc"), at("proc")),
		"new_mounts":   newMounts, // CVE-2022-0185
		"unmask":       call(syscall.SYS_UMOUNT2, at("/proc/kcore"), 0),

		// Rights, and those parts of the kernel that gave them away.
		"become_root":    becomeRoot,
		"new_namespaces": newNamespaces,
		"keyrings":       call(syscall.SYS_KEYCTL, 0, ^uintptr(2)), // CVE-2016-0728
		"io_uring":       call(sysIoUringSetup, 1, zeros(120)),     // CVE-2022-29582
		"bpf":            call(sysBpf, 0, arrayMap(), 72),          // CVE-2021-3490
		"page_faults":    call(sysUserfaultfd, 0),                  // how a race in the kernel is won
		"counters":       call(sysPerfEventOpen, zeros(128), 0, ^uintptr(0), ^uintptr(0)),
		"load_module":    call(syscall.SYS_INIT_MODULE, zeros(16), 16, at("")),
		"load_kernel":    call(sysKexecLoad, 0, 0, 0, noSuchRequest),
		"reboot":         call(syscall.SYS_REBOOT, 0, 0, 0),
		"swap":           call(syscall.SYS_SWAPON, at("/nowhere"), 0),
		"accounting":     call(syscall.SYS_ACCT, at("/nowhere")),
		"lease":          func() string { return lease(fSetLease) },         // whoever opens the file waits for who has one
		"hidden_lease":   func() string { return lease(1<<32 | fSetLease) }, // the same to a kernel that looks at 32 bits
		"clock":          call(syscall.SYS_SETTIMEOFDAY, 0, 0),
		"host_name":      call(syscall.SYS_SETHOSTNAME, at(""), noSuchRequest),
	}
}

func escape([]string) error {
	found := map[string]string{}
	for name, try := range escapes() {
		found[name] = try()
	}
	encoded, err := json.Marshal(found)
	if err != nil {
		return err
	}
	fmt.Println(string(encoded))
	return write([]string{"result.json", string(encoded)})
}

// denied is what an error says. Nothing but a refusal is one: a program that is busy may be written to later, and what
// is found fault with would be done if it were asked for rightly.
func denied(what string, err error, refusals ...syscall.Errno) string {
	if err == nil {
		return escaped + ": " + what
	}
	for _, refusal := range refusals {
		if outcome(err) == errnoName(refusal) {
			return "denied: " + outcome(err)
		}
	}
	return escaped + ": " + what + ", but for " + outcome(err)
}

// opened: what is not there is denied as well.
func opened(path string, flags int) string {
	file, err := os.OpenFile(path, flags, 0)
	if err == nil {
		file.Close()
	}
	return denied("opened "+path, err, syscall.EPERM, syscall.EACCES, syscall.EROFS, syscall.ENOENT, syscall.ENXIO, syscall.ENODEV)
}

// programOpened: one that is run is busy, whoever asks. Once it has ended it could be written to, unless that is not
// permitted or its mount is read-only, which the kernel says if it is asked for the right alone.
func programOpened(path string) string {
	const toWrite = 2 // W_OK
	found := opened(path, os.O_WRONLY)
	if strings.HasSuffix(found, errnoName(syscall.ETXTBSY)) {
		return denied("may write "+path, syscall.Access(path, toWrite), syscall.EACCES, syscall.EROFS)
	}
	return found
}

func openedAny(flags int, paths ...string) string {
	var outcomes []string
	for _, path := range paths {
		outcomes = append(outcomes, opened(path, flags))
	}
	return first(outcomes...)
}

// reads its first bytes: an empty file is a masked one.
func reads(path string) string {
	file, err := os.Open(path)
	if err == nil {
		defer file.Close()
		if _, err = file.Read(make([]byte, 64)); err == io.EOF {
			return "denied: empty"
		}
	}
	return denied("read "+path, err, syscall.EPERM, syscall.EACCES, syscall.ENOENT)
}

// writes what is there already.
func writes(path string) string {
	before, _ := os.ReadFile(path)
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err == nil {
		_, err = file.Write(before)
		file.Close()
	}
	return denied("wrote "+path, err, syscall.EPERM, syscall.EACCES, syscall.EROFS, syscall.ENOENT)
}

// first is the first that led out, or else the first.
func first(outcomes ...string) string {
	for _, outcome := range outcomes {
		if strings.HasPrefix(outcome, escaped) {
			return outcome
		}
	}
	return outcomes[0]
}

// becomeRoot asks to be root, whom a namespace of one user does not know.
func becomeRoot() string {
	said := called(syscall.SYS_SETUID, 0)
	if strings.HasSuffix(said, errnoName(syscall.EINVAL)) {
		return "denied: there is no root"
	}
	return said
}

// called is made in a child of its own: what it changes ends with that.
func called(number uintptr, arguments ...uintptr) string {
	var six [6]uintptr
	copy(six[:], arguments)
	code, err := inChild([]call{{number, six}})
	switch {
	case err != nil:
		return escaped + ": no child could be made to try it: " + err.Error()
	case code > killedBy:
		return "denied: " + ending(code, nil)
	case code == 0:
		return denied("the call was made", nil)
	}
	return denied("the call was made", syscall.Errno(code), syscall.EPERM, syscall.EACCES, syscall.ENOSYS, syscall.EAFNOSUPPORT)
}
