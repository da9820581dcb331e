//go:build linux

// Tries what a contained process must not be able to do. Every attempt is made in a child of its own and is
// harmless where it succeeds.
package main

import (
	"fmt"
	"os"
	"syscall"
	"unsafe"
)

func trySyscalls() map[string]string {
	const (
		sessionKeyring = ^uintptr(2) // KEY_SPEC_SESSION_KEYRING, -3
		processKeyring = ^uintptr(1) // KEY_SPEC_PROCESS_KEYRING, -2
		cloneNewUser   = 0x10000000
		cloneNewMounts = 0x00020000
		privateMounts  = syscall.MS_REC | syscall.MS_PRIVATE
	)
	outMknod := at("/tmp/.drill-device")
	found := map[string]string{}
	for name, calls := range map[string][]call{
		"io_uring_setup":       {{sysIoUringSetup, [6]uintptr{1, zeros(120)}}},
		"keyctl":               {{syscall.SYS_KEYCTL, [6]uintptr{0, sessionKeyring}}},
		"add_key":              {{syscall.SYS_ADD_KEY, [6]uintptr{at("user"), at("drill"), at("x"), 1, processKeyring}}},
		"unshare_user":         {{syscall.SYS_UNSHARE, [6]uintptr{cloneNewUser}}},
		"unshare_mounts":       {{syscall.SYS_UNSHARE, [6]uintptr{cloneNewMounts}}},
		"clone_user":           {{syscall.SYS_CLONE, [6]uintptr{cloneNewUser | uintptr(syscall.SIGCHLD)}}},
		"mount":                {{syscall.SYS_UNSHARE, [6]uintptr{cloneNewMounts}}, {syscall.SYS_MOUNT, [6]uintptr{0, at("/"), 0, privateMounts, 0}}},
		"ptrace_init":          {{syscall.SYS_PTRACE, [6]uintptr{ptraceSeize, 1}}},
		"bpf":                  {{sysBpf, [6]uintptr{0, arrayMap(), 72}}},
		"userfaultfd":          {{sysUserfaultfd, [6]uintptr{0}}},
		"perf_event_open":      {{sysPerfEventOpen, [6]uintptr{zeros(128), 0, ^uintptr(0), ^uintptr(0)}}},
		"setuid_root":          {{syscall.SYS_SETUID, [6]uintptr{0}}},
		"chroot":               {{syscall.SYS_CHROOT, [6]uintptr{at("/")}}},
		"mknod_device":         {{syscall.SYS_MKNODAT, [6]uintptr{^uintptr(99), outMknod, syscall.S_IFCHR | 0o600, 1<<8 | 3}}},
		"socket_netlink_audit": {{syscall.SYS_SOCKET, [6]uintptr{syscall.AF_NETLINK, syscall.SOCK_RAW, 9}}},
		"socket_packet":        {{syscall.SYS_SOCKET, [6]uintptr{syscall.AF_PACKET, syscall.SOCK_RAW, 0}}},
		"socket_vsock":         {{syscall.SYS_SOCKET, [6]uintptr{40, syscall.SOCK_STREAM, 0}}},
	} {
		found[name] = ending(inChild(calls))
	}
	os.Remove("/tmp/.drill-device")
	memory, err := os.Open("/dev/mem")
	if err == nil {
		memory.Close()
	}
	found["open_dev_mem"] = outcome(err)
	return found
}

func ending(code int, err error) string {
	switch {
	case err != nil:
		return err.Error()
	case code > killedBy:
		return fmt.Sprintf("killed by signal %d", code-killedBy)
	}
	return errnoName(syscall.Errno(code))
}

// errnoName names the errnos a container's walls answer with.
func errnoName(errno syscall.Errno) string {
	names := map[syscall.Errno]string{
		0: "ok", syscall.EPERM: "EPERM", syscall.ENOENT: "ENOENT", syscall.ENOSYS: "ENOSYS", syscall.EACCES: "EACCES",
		syscall.EINVAL: "EINVAL", syscall.EROFS: "EROFS", syscall.ENOSPC: "ENOSPC", syscall.ESRCH: "ESRCH",
		syscall.ENETUNREACH: "ENETUNREACH", syscall.EHOSTUNREACH: "EHOSTUNREACH", syscall.ECONNREFUSED: "ECONNREFUSED",
		syscall.ETIMEDOUT: "ETIMEDOUT", syscall.EAGAIN: "EAGAIN", syscall.EUSERS: "EUSERS", syscall.ENOTDIR: "ENOTDIR",
		syscall.EDQUOT: "EDQUOT", syscall.ETXTBSY: "ETXTBSY", syscall.EAFNOSUPPORT: "EAFNOSUPPORT", syscall.ENODEV: "ENODEV", syscall.ENXIO: "ENXIO",
	}
	if name, known := names[errno]; known {
		return name
	}
	return fmt.Sprintf("errno %d", int(errno))
}

func zeros(n int) uintptr {
	memory := make([]byte, n)
	keep = append(keep, &memory[0])
	return uintptr(unsafe.Pointer(&memory[0]))
}

// arrayMap is what bpf(BPF_MAP_CREATE) wants for the plainest map: type array, keys and values of four bytes, one.
func arrayMap() uintptr {
	attributes := make([]uint32, 18)
	attributes[0], attributes[1], attributes[2], attributes[3] = 2, 4, 4, 1
	first := (*byte)(unsafe.Pointer(&attributes[0]))
	keep = append(keep, first)
	return uintptr(unsafe.Pointer(first))
}

// vectorOfOne is an iovec of one byte at an address that no program has.
func vectorOfOne() uintptr {
	vector := []uintptr{8, 1}
	first := (*byte)(unsafe.Pointer(&vector[0]))
	keep = append(keep, first)
	return uintptr(unsafe.Pointer(first))
}
