//go:build linux

// Ways out by what is the host's: control groups, devices, sockets, mounts and namespaces.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"unsafe"
)

func releaseAgent() string {
	agents, _ := filepath.Glob("/sys/fs/cgroup/*/release_agent")
	for _, agent := range append(agents, "/sys/fs/cgroup/release_agent") {
		if found := opened(agent, os.O_WRONLY); strings.HasPrefix(found, escaped) {
			return found
		}
	}
	return "denied: none can be written"
}

// controlGroups: no limit of its own can be raised.
func controlGroups() string {
	for _, pattern := range []string{"memory/memory.limit_in_bytes", "pids/pids.max", "memory.max", "pids.max", "cgroup.procs", "*/cgroup.procs"} {
		files, _ := filepath.Glob("/sys/fs/cgroup/" + pattern)
		for _, file := range files {
			if found := opened(file, os.O_WRONLY); strings.HasPrefix(found, escaped) {
				return found
			}
		}
	}
	return "denied: none can be written"
}

func disks() string {
	entries, err := os.ReadDir("/dev")
	for _, entry := range entries {
		if info, err := entry.Info(); err == nil && info.Mode()&os.ModeDevice != 0 && info.Mode()&os.ModeCharDevice == 0 {
			return escaped + ": /dev/" + entry.Name()
		}
	}
	return "denied: there is none " + outcome(err)
}

func deviceNode() string {
	const memory = 1<<8 | 1
	for _, dir := range []string{"/tmp/", "/dev/shm/", outDir() + "/"} {
		found := called(syscall.SYS_MKNODAT, ^uintptr(99), at(dir+".drill-memory"), syscall.S_IFCHR|0o600, memory)
		os.Remove(dir + ".drill-memory")
		if strings.HasPrefix(found, escaped) {
			return found + " in " + dir
		}
	}
	return "denied: nowhere"
}

func socketsOfTheHost() string {
	for _, path := range []string{"/var/run/docker.sock", "/run/containerd/containerd.sock", "/run/systemd/private", "/run/dbus/system_bus_socket"} {
		if _, err := os.Stat(path); err == nil {
			return escaped + ": " + path
		}
	}
	// Abstract ones belong to a network namespace.
	content, _ := os.ReadFile("/proc/net/unix")
	if lines := strings.Count(string(content), "\n"); lines > 1 {
		return fmt.Sprintf("%s: %d sockets in /proc/net/unix", escaped, lines-1)
	}
	return "denied: there is none"
}

// openByHandle asks for the second inode of a file system, as its root mostly is.
func openByHandle() string {
	handle := make([]byte, 8+8) // its length, its type, and what is in it
	handle[0], handle[4], handle[8] = 8, 1, 2
	keep = append(keep, &handle[0])
	root, err := syscall.Open("/", syscall.O_RDONLY, 0)
	if err != nil {
		return denied("", err)
	}
	defer syscall.Close(root)
	return called(sysOpenByHandleAt, uintptr(root), uintptr(unsafe.Pointer(&handle[0])), 0)
}

func newNamespaces() string {
	kinds := map[string]uintptr{"user": 0x10000000, "mnt": 0x00020000, "pid": 0x20000000, "net": 0x40000000, "cgroup": 0x02000000}
	for kind, flag := range kinds {
		if found := first(called(syscall.SYS_UNSHARE, flag), called(syscall.SYS_CLONE, flag|uintptr(syscall.SIGCHLD))); strings.HasPrefix(found, escaped) {
			return found + " " + kind
		}
	}
	return "denied: none can be made"
}

// newMounts are made by handles, which no rule about paths sees.
func newMounts() string {
	const clone = 1 // OPEN_TREE_CLONE
	return first(called(sysFsopen, at("tmpfs"), 0), called(sysOpenTree, ^uintptr(99), at("/"), clone))
}

// lease asks for one on a file of its own, as a program may that runs as the user whose the input is.
func lease(command uintptr) string {
	path := outDir() + "/leased"
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		return escaped + ": not tried: " + err.Error()
	}
	defer os.Remove(path)
	file, err := os.Open(path)
	if err != nil {
		return escaped + ": not tried: " + err.Error()
	}
	defer file.Close()
	return called(syscall.SYS_FCNTL, file.Fd(), command, syscall.F_RDLCK)
}
